import { describe, expect, test } from 'vitest';
import { berElement, berElements, berInteger, berNumber } from '#enforcer/traps/protocols/ber.ts';
import { bytesOf, fromHex } from '#enforcer/traps/protocols/bytes.ts';
import { ldap } from '#enforcer/traps/protocols/ldap.ts';
import { vnc } from '#enforcer/traps/protocols/vnc.ts';
import { BOOKWORM, converse, sentHex, sentText } from '#test/support/binary-traps.ts';
import { PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';

describe('vnc', () => {
  const ANSWER = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf';

  test('3.8: version, security type, challenge, refusal with its reason', () => {
    const talk = converse(vnc);
    expect(sentText(talk.opened)).toBe('RFB 003.008\n');
    expect(sentHex(talk.say(Buffer.from('RFB 003.008\n')))).toBe('0102');
    expect(sentHex(talk.say('02'))).toBe('0102030405060708090a0b0c0d0e0f10');
    const refused = talk.say(ANSWER);
    expect(sentHex(refused)).toBe(`0000000100000016${Buffer.from('Authentication failure').toString('hex')}`);
    expect(refused.close).toBe(true);
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: '', secret: `0102030405060708090a0b0c0d0e0f10*${ANSWER}`, scheme: 'vnc-des-challenge' });
  });

  test('3.3: the server chooses, and gives no reason', () => {
    const talk = converse(vnc);
    expect(sentHex(talk.say(Buffer.from('RFB 003.003\n')))).toBe('000000020102030405060708090a0b0c0d0e0f10');
    expect(sentHex(talk.say(ANSWER))).toBe('00000001');
  });

  test('3.7 knows the list but no reason', () => {
    const talk = converse(vnc);
    expect(sentHex(talk.say(Buffer.from('RFB 003.007\n')))).toBe('0102');
    talk.say('02');
    expect(sentHex(talk.say(ANSWER))).toBe('00000001');
  });

  test('a type that was not offered ends it (CVE-2006-2369 asked for none)', () => {
    const talk = converse(vnc);
    talk.say(Buffer.from('RFB 003.008\n'));
    expect(talk.say('01')).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
  });

  test('no version ends it', () => {
    expect(converse(vnc).say(Buffer.from('GET / HTTP/1.1\r\n'))).toMatchObject({ close: true });
  });
});

describe('ldap', () => {
  /** ldap3 2.9: a bind, an anonymous bind, StartTLS. */
  const BIND = '3021020101601c020103040f636e3d61646d696e2c64633d6c616e8006733363726574';
  const ANONYMOUS = '300c020102600702010304008000';
  const START_TLS = '301d02010177188016312e332e362e312e342e312e313436362e3230303337';
  /** nmap's LDAPSearchReq and LDAPBindReq (of version 2). */
  const NMAP_SEARCH = '30840000002d02010763840000002404000a01000a0100020100020164010100870b6f626a656374436c617373308400000000';
  const NMAP_BIND = '300c020101600702010204008000';

  test('a bind is seen and refused', () => {
    const talk = converse(ldap);
    const refused = talk.say(BIND);
    expect(sentHex(refused)).toBe('300c02010161070a013104000400');
    expect(refused.close).toBe(false);
    expect(talk.seen).toEqual([{ kind: 'credentials', user: 'cn=admin,dc=lan', secret: 's3cret' }]);
  });

  test('nobody may bind as nobody', () => {
    const talk = converse(ldap);
    expect(sentHex(talk.say(ANONYMOUS))).toBe('300c02010261070a010004000400');
    expect(talk.seen).toEqual([{ kind: 'request', method: 'bind', target: '', headers: [] }]);
  });

  test('a name without a password is unwillingly refused', () => {
    const bind = bytesOf(0x30, 14, [2, 1, 1], 0x60, 9, [2, 1, 3], 4, 2, 'cn', 0x80, 0);
    expect(sentText(converse(ldap).say(bind))).toContain('unauthenticated bind (DN with no password) disallowed');
  });

  test('SASL PLAIN gives its password away', () => {
    const token = '\0bob\0pw';
    const sasl = bytesOf(4, 5, 'PLAIN', 4, token.length, token);
    const bind = bytesOf([2, 1, 3], 4, 0, 0xa3, sasl.length, sasl);
    const message = bytesOf([2, 1, 1], 0x60, bind.length, bind);
    const talk = converse(ldap);
    talk.say(bytesOf(0x30, message.length, message));
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: 'bob', secret: 'pw' });
  });

  test('version 2 is history: nmap knows OpenLDAP by it', () => {
    expect(sentText(converse(ldap).say(NMAP_BIND))).toBe('0E\x02\x01\x01a@\n\x01\x02\x04\0\x049historical protocol version requested, use LDAPv3 instead');
  });

  test('what old tools try in version 2 is seen all the same', () => {
    const talk = converse(ldap);
    talk.say(bytesOf(0x30, 18, [2, 1, 1], 0x60, 13, [2, 1, 2], 4, 2, 'cn', 0x80, 4, 'toor'));
    expect(talk.seen).toEqual([{ kind: 'credentials', user: 'cn', secret: 'toor' }]);
  });

  test('the root entry is for all, lengths of four bytes are understood', () => {
    const reply = converse(ldap).say(NMAP_SEARCH);
    const [entry, done] = berElements(reply.send ?? new Uint8Array());
    expect(Buffer.from(entry?.content ?? []).toString('latin1')).toContain('OpenLDAProotDSE');
    expect(Buffer.from(done?.content ?? []).toString('hex')).toBe('02010765070a010004000400');
  });

  test('the root entry tells its suffix to who asks for all that is operational', () => {
    const search = bytesOf([4, 0, 10, 1, 0, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0], 0x87, 11, 'objectClass', [0x30, 3, 4, 1], '+');
    const message = bytesOf([2, 1, 9], 0x63, search.length, search);
    const told = sentText(converse(ldap, { tls: true }).say(bytesOf(0x30, message.length, message)));
    expect(told).toContain(
      BOOKWORM.domain
        .split('.')
        .map(label => `dc=${label}`)
        .join(','),
    );
    expect(told).toContain('1.3.6.1.4.1.1466.20037');
  });

  test('StartTLS is there if the driver has TLS', () => {
    expect(sentText(converse(ldap).say(START_TLS))).toContain('unsupported extended operation');
    const talk = converse(ldap, { tls: true });
    expect(sentHex(talk.say(START_TLS))).toBe('300c02010178070a010004000400');
    expect(talk.say(PSQL_CLIENT_HELLO)).toMatchObject({ startTls: true, observations: [{ kind: 'fingerprint', name: 'ja4' }] });
    talk.machine.secured?.(20);
    talk.say(BIND);
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: 'cn=admin,dc=lan', secret: 's3cret' });
  });

  test('changes need a log-in', () => {
    const talk = converse(ldap);
    expect(sentText(talk.say('300a 020105 4a 05 636e3d6578'))).toBeDefined();
    expect(sentText(converse(ldap).say('300b 020105 68 06 0404 636e3d78'))).toContain('modifications require authentication');
  });

  test('unbind ends it', () => {
    expect(converse(ldap).say('30050201034200')).toMatchObject({ close: true, observations: [] });
  });

  test.each([['474554202f'], ['3003020101'], ['30ff'], ['3002 0500']])('what is no LDAP is closed: %s', bytes => {
    expect(converse(ldap).say(bytes)).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
  });
});

describe('BER', () => {
  test.each([
    ['', 'more'],
    ['30', 'more'],
    ['3082', 'more'],
    ['308201', 'more'],
    ['3005020101', 'more'],
    ['3080', 'malformed'],
    ['3085', 'malformed'],
    ['30840fffffff', 'malformed'],
    ['1f81', 'malformed'],
  ])('%s is %s', (bytes, expected) => {
    expect(berElement(fromHex(bytes))).toBe(expected);
  });

  test.each([[0], [1], [127], [128], [255], [256], [65_535], [0x7fff_ffff]])('%d comes back as it was written', number => {
    const element = berElement(berInteger(number));
    expect(typeof element === 'string' ? element : berNumber(element)).toBe(number);
  });

  test('negative numbers and those of six bytes are none', () => {
    expect(berElements(fromHex('0201ff 0206010000000000 0200')).map(berNumber)).toEqual([-1, -1, -1]);
  });
});
