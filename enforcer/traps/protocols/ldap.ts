/** LDAP as OpenLDAP's slapd serves it (RFC 4511): binds are what attackers try, the root entry is what they look at first. */
import { BER_ENUMERATED, BER_OCTETS, BER_SEQUENCE, BER_SET, type BerElement, ber, berElement, berElements, berInteger, berNumber } from './ber.ts';
import { bytesOf, latin1 } from './bytes.ts';
import { awaitClientHello } from './client-hello-wait.ts';
import type { Observation, TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import { credentials, malformed, request } from './observation.ts';

const LONGEST_MESSAGE = 16_384;
const MOST_ATTRIBUTES = 24;

const BIND_REQUEST = 0x60;
const BIND_RESPONSE = 0x61;
const UNBIND_REQUEST = 0x42;
const SEARCH_REQUEST = 0x63;
const SEARCH_ENTRY = 0x64;
const SEARCH_DONE = 0x65;
const ABANDON_REQUEST = 0x50;
const EXTENDED_REQUEST = 0x77;
const EXTENDED_RESPONSE = 0x78;
const SIMPLE = 0x80;
const SASL = 0xa3;

const SUCCESS = 0;
const PROTOCOL_ERROR = 2;
const STRONGER_AUTH_REQUIRED = 8;
const METHOD_NOT_SUPPORTED = 7;
const NO_SUCH_OBJECT = 32;
const INVALID_CREDENTIALS = 49;
const UNWILLING = 53;

const START_TLS = '1.3.6.1.4.1.1466.20037';
const WHO_AM_I = '1.3.6.1.4.1.4203.1.11.3';

export const ldap: TrapProtocol = {
  name: 'ldap',
  ports: [389, 3268],
  create: context => createMachine(createTalk(context), context.limits),
  recognise(first) {
    const message = berElement(first);
    if (message === 'malformed' || first[0] !== BER_SEQUENCE) return 'no';
    if (message === 'more') return 'maybe';
    const [id, operation] = berElements(message.content);
    return id?.tag === 2 && operation !== undefined && [BIND_REQUEST, SEARCH_REQUEST, EXTENDED_REQUEST].includes(operation.tag) ? 'yes' : 'no';
  },
};

function createTalk({ persona, tls }: TrapContext): Talk {
  const suffix = persona.domain
    .split('.')
    .map(label => `dc=${label}`)
    .join(',');
  let phase: 'talk' | 'awaits-client-hello' = 'talk';
  let secured = false;

  function next(waiting: Buffer): Step {
    if (phase === 'awaits-client-hello') return awaitClientHello(waiting);
    const message = waiting[0] === BER_SEQUENCE ? berElement(waiting) : 'malformed';
    if (message === 'more') return MORE;
    const [id, operation] = message === 'malformed' ? [] : berElements(message.content);
    // slapd closes without a word on what is no LDAP
    if (message === 'malformed' || id?.tag !== 2 || operation === undefined)
      return { used: waiting.length, observations: [malformed('no LDAP message')], close: true };
    return { used: message.bytes, ...answer(id.content, operation) };
  }

  function answer(id: Uint8Array, operation: BerElement): Omit<Step, 'used'> {
    const fields = berElements(operation.content);
    switch (operation.tag) {
      case BIND_REQUEST:
        return bind(id, fields);
      case SEARCH_REQUEST:
        return search(id, fields);
      case EXTENDED_REQUEST:
        return extended(id, fields);
      case UNBIND_REQUEST:
        return { close: true };
      case ABANDON_REQUEST:
        return {};
      default:
        // Modify, add, delete, modifyDN, compare: the response's tag is the request's plus one (RFC 4511, 4.6 to 4.10).
        if (operation.tag < BIND_REQUEST || operation.tag > 0x6f) return { observations: [malformed('no LDAP operation')], close: true };
        return {
          send: result(id, operation.tag + 1, STRONGER_AUTH_REQUIRED, 'modifications require authentication'),
          observations: [request(`operation-${(operation.tag & 0x1f).toString()}`, latin1(fields[0]?.content ?? operation.content), [])],
        };
    }
  }

  function bind(id: Uint8Array, [version, name, authentication]: readonly BerElement[]): Omit<Step, 'used'> {
    const dn = latin1(name?.content ?? NOTHING);
    if (berNumber(version) !== 3) {
      const tried =
        authentication?.tag === SIMPLE && authentication.content.length > 0 ? credentials(dn, latin1(authentication.content)) : request('bind', dn, []);
      return { send: result(id, BIND_RESPONSE, PROTOCOL_ERROR, 'historical protocol version requested, use LDAPv3 instead'), observations: [tried] };
    }
    if (authentication?.tag === SASL) return saslBind(id, dn, berElements(authentication.content));
    if (authentication?.tag !== SIMPLE)
      return { send: result(id, BIND_RESPONSE, PROTOCOL_ERROR, 'unknown authentication method'), observations: [malformed('no LDAP authentication')] };
    const password = latin1(authentication.content);
    const observations = [credentials(dn, password)];
    if (dn === '' && password === '') return { send: result(id, BIND_RESPONSE, SUCCESS), observations: [request('bind', '', [])] };
    if (password === '') return { send: result(id, BIND_RESPONSE, UNWILLING, 'unauthenticated bind (DN with no password) disallowed'), observations };
    return { send: result(id, BIND_RESPONSE, INVALID_CREDENTIALS), observations };
  }

  function saslBind(id: Uint8Array, dn: string, [mechanism, token]: readonly BerElement[]): Omit<Step, 'used'> {
    const name = latin1(mechanism?.content ?? NOTHING);
    const observations: Observation[] = [request('bind', dn, [['mechanism', name]])];
    const [, user, password] = latin1(token?.content ?? NOTHING).split('\0'); // PLAIN is "authzid NUL user NUL password" (RFC 4616)
    if (name === 'PLAIN' && user !== undefined && password !== undefined)
      return { send: result(id, BIND_RESPONSE, INVALID_CREDENTIALS), observations: [...observations, credentials(user, password)] };
    return { send: result(id, BIND_RESPONSE, METHOD_NOT_SUPPORTED, 'SASL(-4): no mechanism available: '), observations };
  }

  function search(id: Uint8Array, fields: readonly BerElement[]): Omit<Step, 'used'> {
    const base = latin1(fields[0]?.content ?? NOTHING);
    const scope = berNumber(fields[1]);
    const wanted = berElements(fields[7]?.content ?? NOTHING).slice(0, MOST_ATTRIBUTES);
    const attributes = wanted.map(({ content }) => latin1(content));
    const observations = [
      request('search', base, [
        ['scope', String(scope)],
        ['attributes', attributes.join(' ')],
      ]),
    ];
    const done = (code: number): Uint8Array => result(id, SEARCH_DONE, code);
    if (base === '' && scope === 0) return { send: bytesOf(rootEntry(id, suffix, attributes, tls && !secured), done(SUCCESS)), observations };
    return { send: done(base.toLowerCase().endsWith(suffix) ? SUCCESS : NO_SUCH_OBJECT), observations };
  }

  function extended(id: Uint8Array, [name]: readonly BerElement[]): Omit<Step, 'used'> {
    const oid = latin1(name?.content ?? NOTHING);
    const observations = [request('extended', oid, [])];
    if (oid === START_TLS && tls && !secured) {
      phase = 'awaits-client-hello';
      return { send: result(id, EXTENDED_RESPONSE, SUCCESS), observations };
    }
    if (oid === WHO_AM_I) return { send: result(id, EXTENDED_RESPONSE, SUCCESS), observations };
    return { send: result(id, EXTENDED_RESPONSE, PROTOCOL_ERROR, 'unsupported extended operation'), observations };
  }

  return {
    protocol: 'ldap',
    longestMessage: LONGEST_MESSAGE,
    next,
    secured() {
      secured = true;
      phase = 'talk';
      return { used: 0 };
    },
  };
}

const NOTHING = new Uint8Array(0);

/** The id goes back in the bytes that it came in, bounded by the message's own bound. */
function result(id: Uint8Array, tag: number, code: number, diagnostic = ''): Uint8Array {
  return ber(BER_SEQUENCE, ber(2, id.subarray(0, 5)), ber(tag, berInteger(code, BER_ENUMERATED), ber(BER_OCTETS), ber(BER_OCTETS, diagnostic)));
}

/** The root DSE (RFC 4512, 5.1): of the operational attributes those that were asked for. */
function rootEntry(id: Uint8Array, suffix: string, wanted: readonly string[], withTls: boolean): Uint8Array {
  const everything = wanted.some(name => name === '+');
  const names = new Set(wanted.map(name => name.toLowerCase()));
  const user = wanted.length === 0 || names.has('*') || names.has('objectclass');
  const attributes = [...(user ? [['objectClass', 'top', 'OpenLDAProotDSE']] : [])];
  const operational: string[][] = [
    ['structuralObjectClass', 'OpenLDAProotDSE'],
    ['configContext', 'cn=config'],
    ['namingContexts', suffix],
    [
      'supportedControl',
      '2.16.840.1.113730.3.4.18',
      '2.16.840.1.113730.3.4.2',
      '1.3.6.1.1.22',
      '1.2.840.113556.1.4.319',
      '1.3.6.1.1.13.2',
      '1.3.6.1.1.13.1',
      '1.3.6.1.1.12',
    ],
    ['supportedExtension', ...(withTls ? [START_TLS] : []), '1.3.6.1.4.1.4203.1.11.1', WHO_AM_I, '1.3.6.1.1.8'],
    [
      'supportedFeatures',
      '1.3.6.1.1.14',
      '1.3.6.1.4.1.4203.1.5.1',
      '1.3.6.1.4.1.4203.1.5.2',
      '1.3.6.1.4.1.4203.1.5.3',
      '1.3.6.1.4.1.4203.1.5.4',
      '1.3.6.1.4.1.4203.1.5.5',
    ],
    ['supportedLDAPVersion', '3'],
    ['entryDN', ''],
    ['subschemaSubentry', 'cn=Subschema'],
  ];
  attributes.push(...operational.filter(([name]) => everything || names.has((name ?? '').toLowerCase())));
  const encoded = attributes.map(([name = '', ...values]) =>
    ber(BER_SEQUENCE, ber(BER_OCTETS, name), ber(BER_SET, ...values.map(value => ber(BER_OCTETS, value)))),
  );
  return ber(BER_SEQUENCE, ber(2, id.subarray(0, 5)), ber(SEARCH_ENTRY, ber(BER_OCTETS), ber(BER_SEQUENCE, ...encoded)));
}
