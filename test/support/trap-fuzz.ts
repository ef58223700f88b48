/** Inputs for the fuzzing of trap machines: dice that repeat, conversations of real clients, and ways to spoil them. */

export interface Dice {
  below(bound: number): number;
  state(): number;
}

/** xorshift32: the same seed, the same inputs. */
export function createDice(seed: number): Dice {
  let state = seed >>> 0 || 1;
  return {
    below(bound) {
      state ^= state << 13;
      state >>>= 0;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state % bound;
    },
    state: () => state,
  };
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const http = (method: string, path: string, body = '', headers = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\n${headers}${body === '' ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body}`;

export interface Conversation {
  readonly protocol: string;
  readonly parts: readonly Buffer[];
}

/** What real clients, scanners and bots send, part by part. */
export function conversations(): readonly Conversation[] {
  const talks: readonly (readonly [protocol: string, parts: readonly string[]])[] = [
    ['ftp', ['USER root\r\n', 'PASS toor\r\n', 'SYST\r\n', 'FEAT\r\n', 'AUTH TLS\r\n', 'OPTS UTF8 ON\r\n', 'QUIT\r\n']],
    [
      'telnet',
      [
        '\xff\xfc\x18\xff\xfb\x20\xff\xfa\x18\x00xterm\xff\xf0\xff\xfc\x23\xff\xfc\x27',
        'root\r\0',
        '123456\r\n',
        'enable\r\nsystem\r\nsh\r\n',
        '/bin/busybox MIRAI\r\n',
      ],
    ],
    [
      'smtp',
      [
        'EHLO x\r\n',
        'AUTH LOGIN\r\n',
        'YWRtaW4=\r\n',
        'c2VjcmV0\r\n',
        'AUTH PLAIN AHUAcA==\r\n',
        'AUTH CRAM-MD5\r\n',
        'dSBhYg==\r\n',
        'MAIL FROM:<a@b>\r\nRCPT TO:<root@localhost>\r\nDATA\r\nx\r\n.\r\n',
        'STARTTLS\r\n',
      ],
    ],
    [
      'http',
      [
        http('GET', '/'),
        http('POST', '/login', 'username=a&password=%70%zz'),
        http('POST', '/xmlrpc.php', '<methodCall><methodName>wp.x</methodName><value>a</value><value>b</value>'),
      ],
    ],
    [
      'http',
      [
        http('POST', '/login', '{"user":"constructor","password":["__proto__"]}', 'Content-Type: application/json\r\nAuthorization: Basic YTpi\r\n'),
        http('OPTIONS', '*'),
        http('TRACE', '/'),
      ],
    ],
    [
      'http',
      [
        'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n',
        '4;a=b\r\nabcd\r\n',
        '0\r\nX: y\r\n\r\n',
        http('HEAD', '/constructor'),
      ],
    ],
    [
      'docker',
      [
        http('GET', '/v1.24/containers/json'),
        http('POST', '/containers/create', '{"Image":"a","Cmd":["sh","-c","id"]}'),
        http('POST', '/exec/abc/start', '{}'),
        http('GET', '/toString'),
      ],
    ],
    [
      'elasticsearch',
      [http('GET', '/_search?pretty', '{"script":"x"}'), http('PUT', '/index/_doc/1', '{}'), http('GET', '/_cat/indices?v'), http('DELETE', '/_all')],
    ],
    ['kubernetes', [http('GET', '/api/v1/namespaces/default/pods/x'), http('GET', '/version', '', 'Authorization: Bearer x\r\n')]],
    ['http-proxy', ['CONNECT example.com:443 HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\n\r\n', http('GET', 'http://example.com/')]],
    [
      'redis',
      [
        '*1\r\n$4\r\nPING\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n',
        'CONFIG SET dir /root\r\nCONFIG GET *\r\n',
        'INFO constructor\r\n',
        'AUTH a b\r\n',
        'EVAL "x" 0\r\n',
        '*-1\r\n',
      ],
    ],
    ['memcached', ['stats\r\n', 'set a 0 0 3\r\nabc\r\n', 'get a b\r\n', 'set __proto__ 0 0 1 noreply\r\nx\r\n', 'quit\r\n']],
    ['git', ['0032git-upload-pack /project.git\0host=myserver.com\0']],
    ['socks', ['\x05\x02\x00\x02', '\x01\x01a\x01b', '\x05\x01\x00\x03\x03abc\x00\x50']],
    ['socks', ['\x05\x01\x00', '\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x16', 'data']],
    ['socks', ['\x04\x01\x00\x50\x00\x00\x00\x01user\x00example.com\x00']],
    ['mqtt', ['\x10\x14\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02id\x00\x01u\x00\x01p']],
    [
      'mqtt',
      [
        '\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02id',
        '\x82\x0c\x00\x01\x00\x00\x06$SYS/#\x00',
        '\x32\x08\x00\x01a\x00\x09\x00hi',
        '\xc0\x00',
        '\xe0\x00',
      ],
    ],
    [
      'adb',
      [
        'CNXN\x00\x00\x00\x01\x00\x10\x00\x00\x07\x00\x00\x00\x32\x02\x00\x00\xbc\xb1\xa7\xb1host::\x00',
        'OPEN\x01\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\xb0\xaf\xba\xb1shell:id\x00',
      ],
    ],
    [
      'rtsp',
      [
        'OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n',
        'DESCRIBE rtsp://x/ RTSP/1.0\r\nCSeq: 2\r\nAuthorization: Digest username="a", response="b"\r\nContent-Length: 2\r\n\r\nab',
      ],
    ],
    [
      'sip',
      [
        'OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\nTo: <sip:a>\r\nCSeq: 1 OPTIONS\r\n\r\n',
        'REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=a\r\nl: 3\r\n\r\nabc',
      ],
    ],
    ['pop3', ['USER bob\r\n', 'PASS x\r\n', 'AUTH PLAIN\r\n', 'AGEAYg==\r\n', 'STLS\r\n', 'CAPA\r\n']],
    [
      'imap',
      ['a CAPABILITY\r\n', 'a LOGIN {3+}\r\nbob {1}\r\n', 'x\r\n', 'a LOGIN "b\\"" c\r\n', 'a AUTHENTICATE PLAIN\r\n', 'AGEAYg==\r\n', 'a STARTTLS\r\n'],
    ],
    ['ssh', ['SSH-2.0-Go\r\n', '\x00\x00\x01\x14\x06\x14']],
    ['rsync', ['@RSYNCD: 31.0\n', 'backup\n']],
    ['tls', ['\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03', '\x16\x03']],
  ];
  return talks.map(([protocol, parts]) => ({ protocol, parts: parts.map(latin1) }));
}

const TOKENS = [
  '\r\n',
  '\r\n\r\n',
  '\0',
  '\xff',
  '\xff\xff\xff\xff',
  '%00',
  '../',
  '-1',
  '99999999999',
  '$',
  '*',
  '{9999}',
  '"',
  '\\',
  ' ',
  ':',
  'constructor',
  '__proto__',
  '\x80',
  'A'.repeat(300),
].map(latin1);
const SEPARATOR_ODDS = 6;

/** A conversation spoiled: bytes changed, dropped, doubled, strange ones put in, parts swapped, all of it cut anew; or nothing but noise. */
export function mutated(conversation: readonly Buffer[], dice: Dice): readonly Buffer[] {
  if (dice.below(8) === 0) return Array.from({ length: 1 + dice.below(4) }, () => noise(dice.below(64), dice));
  const parts = conversation.map(part => (dice.below(3) === 0 ? spoiled(part, dice) : part));
  if (dice.below(4) === 0) parts.push(parts[dice.below(parts.length)] ?? Buffer.alloc(0));
  if (dice.below(4) === 0) parts.splice(dice.below(parts.length), 1);
  if (dice.below(40) === 0) parts.push(Buffer.concat(Array.from({ length: 40 }, () => parts[dice.below(parts.length)] ?? Buffer.alloc(0))));
  return dice.below(SEPARATOR_ODDS) === 0 ? recut(Buffer.concat(parts), dice) : parts;
}

function spoiled(part: Buffer, dice: Dice): Buffer {
  let bytes = Buffer.from(part);
  for (let times = 1 + dice.below(3); times > 0; times--) {
    const at = dice.below(bytes.length + 1);
    switch (dice.below(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = dice.below(256);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(4))]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), TOKENS[dice.below(TOKENS.length)] ?? Buffer.alloc(0), bytes.subarray(at)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), noise(dice.below(16), dice), bytes.subarray(at)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes, bytes.subarray(at)]);
        break;
      default:
        bytes = bytes.subarray(0, at);
    }
  }
  return bytes;
}

const noise = (length: number, dice: Dice): Buffer => Buffer.from(Array.from({ length }, () => dice.below(256)));

function recut(bytes: Buffer, dice: Dice): readonly Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length && parts.length < 100; ) {
    const size = 1 + dice.below(24);
    parts.push(bytes.subarray(at, at + size));
    at += size;
  }
  return parts;
}
