/** MongoDB with access control: says who it is, lets nobody in, and takes the log-ins that are tried. */
import { type BsonDocument, type BsonOutDocument, bytesIn, documentIn, showBson, textOf } from './bson.ts';
import { bytesOf, hex, latin1, toUtf8, utf8 } from './bytes.ts';
import type { Observation, TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import { MONGODB_HEADER_BYTES, type MongodbCommand, mongodbReply, parseMongodbMessage } from './mongodb-messages.ts';
import { command as commandSeen, credentials, fingerprint, malformed } from './observation.ts';

const LONGEST_MESSAGE = 16_384;
const LONGEST_SHOWN = 512;
const UNAUTHORIZED = 13;
const AUTHENTICATION_FAILED = 18;
const COMMAND_NOT_FOUND = 59;
const SCRAM_ITERATIONS = { 'SCRAM-SHA-1': 10_000, 'SCRAM-SHA-256': 15_000 } as const;

/** Of the 4.4 series, the newest that still answers the old OP_QUERY commands of scanners; each with the commit that it was built from. */
const RELEASES: readonly [MongodbRelease, ...MongodbRelease[]] = [
  { version: '4.4.29', commit: 'f4dda329a99811c707eb06d05ad023599f9be263' },
  { version: '4.4.24', commit: '0b86b9b7b42ad9970c5f818c527dd86c0634243a' },
  { version: '4.4.18', commit: '8ed32b5c2c68ebe7f8ae2ebe8d23f36037a17dea' },
  { version: '4.4.15', commit: 'bc17cf2c788c5dda2801a090ea79da5ff7d5fac9' },
];

interface MongodbRelease {
  readonly version: string;
  readonly commit: string;
}

/** What the server says to a browser. */
const NOT_HTTP =
  'HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 84\r\n\r\nIt looks like you are trying to access MongoDB over HTTP on the native driver port.\n';

const NEEDS_AUTHENTICATION = new Set(
  [
    ...['listDatabases', 'listCollections', 'serverStatus', 'find', 'insert', 'update', 'delete', 'drop', 'dropDatabase', 'aggregate', 'count', 'distinct'],
    ...['getParameter', 'getLog', 'getCmdLineOpts', 'hostInfo', 'top', 'dbStats', 'collStats', 'currentOp', 'killOp', 'createUser', 'usersInfo', 'rolesInfo'],
    ...['eval', 'mapReduce', 'shutdown', 'fsync', 'create', 'createIndexes', 'replSetGetStatus', 'getMore', 'copydb', 'setParameter', 'validate', 'explain'],
  ].map(name => name.toLowerCase()),
);

export const mongodb: TrapProtocol = {
  name: 'mongodb',
  ports: [27017, 27018, 27019],
  create: context => createMachine(createTalk(context), context.limits),
  recognise(first) {
    if (first.length < MONGODB_HEADER_BYTES) return first.length < 4 ? 'maybe' : 'no';
    const view = new DataView(first.buffer, first.byteOffset);
    const known = [2004, 2013].includes(view.getUint32(12, true));
    return known && view.getUint32(0, true) <= LONGEST_MESSAGE ? 'yes' : 'no';
  },
};

function createTalk(context: TrapContext): Talk {
  const { persona, random } = context;
  const release = persona.pick('mongodb release', RELEASES);
  const connection = (persona.between('mongodb connections', 10, 3000) + Math.floor(context.acceptedAt / 11_000)) % 100_000;
  let replies = 0;
  let login: { readonly user: string; readonly mechanism: string; readonly salted: string } | undefined;

  function next(waiting: Buffer): Step {
    if (/^(?:GET|HEAD|POST|OPTI)/.test(latin1(waiting.subarray(0, 4)))) {
      return { used: waiting.length, send: bytesOf(NOT_HTTP), observations: [malformed('HTTP')], close: true };
    }
    if (waiting.length < 4) return MORE;
    const length = waiting.readUInt32LE(0);
    // mongod closes without a word on what cannot be a message
    if (length < MONGODB_HEADER_BYTES || length > LONGEST_MESSAGE)
      return { used: waiting.length, observations: [malformed('no MongoDB message')], close: true };
    if (waiting.length < length) return MORE;
    const message = parseMongodbMessage(waiting.subarray(0, length));
    if (!message.ok) return { used: length, observations: [malformed(`a MongoDB message that is ${message.why}`)], close: true };
    const step = answer(message.value);
    return { used: length, ...step, ...(message.value.silent ? { send: NOTHING } : {}) };
  }

  function answer(command: MongodbCommand): Omit<Step, 'used'> {
    const name = command.document[0]?.[0] ?? '';
    const reply = (document: BsonOutDocument, observations: readonly Observation[] = [seen(command)]): Omit<Step, 'used'> => {
      const failed = !document.some(([key, value]) => key === 'ok' && typeof value === 'object' && 'double' in value && value.double === 1);
      return { send: mongodbReply(command, ++replies + connection * 16, document, failed), observations };
    };
    if (command.collection !== undefined)
      return reply([
        ['$err', `not authorized for query on ${command.database}.${command.collection}`.slice(0, 200)],
        ['code', UNAUTHORIZED],
        ['ok', { double: 0 }],
      ]);
    switch (name.toLowerCase()) {
      case 'hello':
      case 'ismaster':
        return reply(hello(name), greetings(command.document));
      case 'ping':
        return reply([['ok', { double: 1 }]]);
      case 'buildinfo':
        return reply(buildInfo(release));
      case 'whatsmyuri':
        return reply([
          ['you', `${context.source}:${32_768 + ((random[30] ?? 0) << 6)}`],
          ['ok', { double: 1 }],
        ]);
      case 'getnonce':
        return reply([
          ['nonce', hex(random.subarray(0, 8))],
          ['ok', { double: 1 }],
        ]);
      case 'endsessions':
      case 'logout':
        return reply([['ok', { double: 1 }]]);
      case 'saslstart':
        return saslStart(command.document, reply);
      case 'saslcontinue':
        return saslContinue(command.document, reply);
      case 'authenticate':
        return reply(failure(AUTHENTICATION_FAILED, 'AuthenticationFailed', 'Authentication failed.'), [
          credentials(
            textOf(command.document, 'user') ?? '',
            textOf(command.document, 'key') ?? '',
            `mongodb-${textOf(command.document, 'mechanism') ?? 'cr'}`.slice(0, 32).toLowerCase(),
          ),
        ]);
      default:
        if (NEEDS_AUTHENTICATION.has(name.toLowerCase())) return reply(failure(UNAUTHORIZED, 'Unauthorized', `command ${name} requires authentication`));
        return reply(failure(COMMAND_NOT_FOUND, 'CommandNotFound', `no such command: '${utf8(Buffer.from(name.slice(0, 64), 'latin1'))}'`));
    }
  }

  function hello(name: string): BsonOutDocument {
    const primary = name.toLowerCase() === 'hello' ? 'isWritablePrimary' : 'ismaster';
    return [
      [primary, true],
      ['maxBsonObjectSize', 16_777_216],
      ['maxMessageSizeBytes', 48_000_000],
      ['maxWriteBatchSize', 100_000],
      ['localTime', { millis: context.acceptedAt }],
      ['logicalSessionTimeoutMinutes', 30],
      ['connectionId', connection],
      ['minWireVersion', 0],
      ['maxWireVersion', 9],
      ['readOnly', false],
      ['ok', { double: 1 }],
    ];
  }

  function saslStart(document: BsonDocument, reply: Reply): Omit<Step, 'used'> {
    const mechanism = textOf(document, 'mechanism') ?? '';
    const start = latin1(bytesIn(document, 'payload') ?? NOTHING);
    if (mechanism === 'PLAIN') {
      const [, user = '', password = ''] = start.split('\0');
      return reply(failure(334, 'MechanismUnavailable', 'Received authentication for mechanism PLAIN which is not enabled'), [credentials(user, password)]);
    }
    const [user, nonce] = /^[nyp],[^,]*,n=([^,]*),r=([^,]*)/.exec(start)?.slice(1) ?? [];
    if (user === undefined || nonce === undefined || !isScram(mechanism) || nonce.length > 128) {
      return reply(failure(AUTHENTICATION_FAILED, 'AuthenticationFailed', 'Authentication failed.'), [malformed('a SASL exchange that is no SCRAM')]);
    }
    const serverNonce = nonce + Buffer.from(random.subarray(0, 18)).toString('base64');
    // The same user has the same salt each time, as if it were stored.
    const salt = Buffer.from(persona.bytes(`mongodb salt ${mechanism} ${user.slice(0, 128)}`, mechanism === 'SCRAM-SHA-1' ? 16 : 28)).toString('base64');
    const challenge = `r=${serverNonce},s=${salt},i=${SCRAM_ITERATIONS[mechanism]}`;
    login = { user: unescaped(user), mechanism, salted: `${SCRAM_ITERATIONS[mechanism]}*${salt}*${serverNonce}` };
    return reply(
      [
        ['conversationId', 1],
        ['done', false],
        ['payload', toUtf8(challenge)],
        ['ok', { double: 1 }],
      ],
      [],
    );
  }

  function saslContinue(document: BsonDocument, reply: Reply): Omit<Step, 'used'> {
    const final = latin1(bytesIn(document, 'payload') ?? NOTHING);
    const tried =
      login === undefined
        ? malformed('SASL goes on that never began')
        : credentials(login.user, `${login.salted}*${/,p=(.*)$/s.exec(final)?.[1] ?? ''}`, login.mechanism.toLowerCase());
    login = undefined;
    return reply(failure(AUTHENTICATION_FAILED, 'AuthenticationFailed', 'Authentication failed.'), [tried]);
  }

  return { protocol: 'mongodb', longestMessage: LONGEST_MESSAGE, next };
}

type Reply = (document: BsonOutDocument, observations?: readonly Observation[]) => Omit<Step, 'used'>;
const NOTHING = new Uint8Array(0);

const isScram = (mechanism: string): mechanism is keyof typeof SCRAM_ITERATIONS => mechanism in SCRAM_ITERATIONS;
/** RFC 5802, 5.1 */
const unescaped = (name: string): string => name.replace(/=2C/g, ',').replace(/=3D/g, '=');

const seen = ({ document, database, collection }: MongodbCommand): Observation =>
  commandSeen(`${database}${collection === undefined ? '' : `.${collection}`} ${showBson(document, LONGEST_SHOWN)}`);

/** What a driver tells of itself in its first message, and whom it will log in as. */
function greetings(document: BsonDocument): Observation[] {
  const client = documentIn(document, 'client');
  const mechanisms = textOf(document, 'saslSupportedMechs');
  return [
    ...(client === undefined ? [] : [fingerprint('mongodb-driver', showBson(client, LONGEST_SHOWN))]),
    ...(mechanisms === undefined ? [] : [commandSeen(`saslSupportedMechs ${mechanisms}`)]),
  ];
}

function failure(code: number, codeName: string, message: string): BsonOutDocument {
  return [
    ['ok', { double: 0 }],
    ['errmsg', message.slice(0, 200)],
    ['code', code],
    ['codeName', codeName],
  ];
}

function buildInfo({ version, commit }: MongodbRelease): BsonOutDocument {
  return [
    ['version', version],
    ['gitVersion', commit],
    ['modules', { list: [] }],
    ['allocator', 'tcmalloc'],
    ['javascriptEngine', 'mozjs'],
    ['sysInfo', 'deprecated'],
    ['versionArray', { list: [...version.split('.').map(Number), 0] }],
    [
      'openssl',
      [
        ['running', 'OpenSSL 1.1.1f  31 Mar 2020'],
        ['compiled', 'OpenSSL 1.1.1f  31 Mar 2020'],
      ],
    ],
    ['bits', 64],
    ['debug', false],
    ['maxBsonObjectSize', 16_777_216],
    ['storageEngines', { list: ['biggie', 'devnull', 'ephemeralForTest', 'wiredTiger'] }],
    ['ok', { double: 1 }],
  ];
}
