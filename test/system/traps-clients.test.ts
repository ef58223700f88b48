/** Clients and guessers that others wrote, on a whole enforcer: what they get to hear, and what is written down of them. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Credential } from '#enforcer/traps/receipts.ts';
import { eventually } from '#test/support/enforcer.ts';
import { FIRST_WORDS, saying } from '#test/support/trap-first-words.ts';
import { seedWith } from '#test/support/trap-personas.ts';
import { FRIEND, HOST, startTrapScene, type TrapScene } from '#test/support/trap-scene.ts';

const USERS = ['root', 'admin'];
const SECRETS = ['alpha1', 'bravo2', 'charlie3'];
const PAIRS = USERS.flatMap(user => SECRETS.map(secret => `${user}:${secret}`)).sort();

let scene: TrapScene;
let folder = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-guesses-'));
  writeFileSync(join(folder, 'users'), `${USERS.join('\n')}\n`);
  writeFileSync(join(folder, 'secrets'), `${SECRETS.join('\n')}\n`);
  scene = await startTrapScene(
    'mode: enforce\ntraps: { ports: all }\n',
    seedWith(({ release }) => release.name.includes('bookworm')),
  );
});
afterAll(async () => {
  await scene?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** What a program says, both streams; `from` a source that nobody knows yet if told so. */
const hear = async (command: readonly string[], { from = FRIEND, timeoutMs = 10_000, input = '' } = {}): Promise<string> => {
  const { stdout, stderr } = await scene.visit(from, command, { timeoutMs, input, env: { HOME: folder, PGPASSWORD: 'wrong', LC_ALL: 'C' } });
  return `${stdout}${stderr}`;
};

type Client = readonly [client: string, command: readonly string[], hears: RegExp, input?: string];

const CLIENTS: readonly Client[] = [
  ['redis-cli', ['redis-cli', '-h', HOST, 'INFO', 'server'], /redis_version:\d+\.\d+[\s\S]*os:Linux/],
  ['mariadb', ['mariadb', '-h', HOST, '-u', 'root', '-pwrong', '-e', 'select 1'], /Access denied for user 'root'@'[\d.]+' \(using password: YES\)/],
  ['psql', ['psql', '-h', HOST, '-U', 'postgres', '-c', 'select 1'], /password authentication failed for user "postgres"/],
  ['smbclient', ['smbclient', '-L', HOST, '-U', 'admin%wrong'], /NT_STATUS_LOGON_FAILURE/],
  ['snmpget', ['snmpget', '-v2c', '-c', 'public', '-t', '1', HOST, '1.3.6.1.2.1.1.5.0'], /tooBig/], // the truth is longer than the question
  ['ftp', ['ftp', '-n', '-v', HOST], /^220 .*\n331 .*\n530 Login incorrect/m, 'user anonymous me@example.org\nquit\n'],
  ['curl', ['curl', '-sSi', `http://${HOST}/`], /^HTTP\/1\.1 200 OK\r\n[\s\S]*Server: (?:nginx|Apache)[\s\S]*<html/i],
  ['curl over TLS', ['curl', '-sSki', `https://${HOST}/`], /^HTTP\/1\.1 200 OK\r\n[\s\S]*<html/i],
  ['curl of the docker API', ['curl', '-sS', `http://${HOST}:2375/version`], /"ApiVersion":"1\.\d+"/],
  ['curl of the kubernetes API', ['curl', '-sSk', `https://${HOST}:6443/version`], /"gitVersion": "v1\.\d+\.\d+"/],
  ['curl of elasticsearch', ['curl', '-sS', `http://${HOST}:9200/`], /"cluster_name"/],
  ['ldapsearch', ['ldapsearch', '-x', '-H', `ldap://${HOST}`, '-b', '', '-s', 'base'], /result: 0 Success/],
  ['mosquitto_pub', ['mosquitto_pub', '-h', HOST, '-u', 'admin', '-P', 'admin', '-t', 'a', '-m', 'b'], /Connection Refused: not authorised/],
  ['ssh-keyscan', ['ssh-keyscan', '-T', '5', HOST], new RegExp(`${HOST.replaceAll('.', '\\.')} ssh-ed25519 `)],
  ['http on a port of nobody', ['curl', '-sSi', `http://${HOST}:31337/`], /^HTTP\/1\.1 200 OK\r\n/],
  ['TLS on a port of nobody', ['curl', '-sSki', `https://${HOST}:9999/`], /^HTTP\/1\.1 200 OK\r\n/],
  [
    'ssh on a port of nobody',
    ['ssh', '-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-p', '2022', HOST],
    /Permission denied \(publickey,password/,
  ],
];

describe('a client gets through its first exchange', () => {
  test.each(CLIENTS.map(client => [client[0], client] as const))('%s', async (_client, [, command, hears, input]) => {
    expect(await hear(command, { input: input ?? '' })).toMatch(hears);
  });

  test.each(
    [
      ['443'],
      ['25', '-starttls', 'smtp'],
      ['110', '-starttls', 'pop3'],
      ['143', '-starttls', 'imap'],
      ['21', '-starttls', 'ftp'],
      ['389', '-starttls', 'ldap'],
      ['3306', '-starttls', 'mysql'],
      ['5432', '-starttls', 'postgres'],
      ['465'],
      ['636'],
      ['990'],
      ['993'],
      ['995'],
      ['8883'],
    ].map(words => [words.join(' '), words] as const),
  )('openssl s_client at %s', async (_where, [port, ...starttls]) => {
    const said = await hear(['openssl', 's_client', '-connect', `${HOST}:${port}`, ...starttls]);
    expect(said).toContain(`CN = ${scene.persona.fullName}`);
    expect(said).toMatch(/New, TLSv1\.[23], Cipher is /);
  });

  test('and so do protocols whose clients are rare, in their own bytes', async () => {
    const said = await hear(['python3', '-c', saying(FIRST_WORDS)], { timeoutMs: 50_000 });
    expect(said.trim().split('\n')).toEqual(FIRST_WORDS.map(({ name }) => name));
  });

  test('who says nothing on a port of nobody is greeted within a second or two', async () => {
    const said = await hear([
      'python3',
      '-c',
      `import socket,time; c=socket.create_connection(('${HOST}', 40404), 2); c.settimeout(2.5); s=time.time(); print(c.recv(200)[:20]); print(time.time()-s)`,
    ]);
    expect(said).toMatch(/^b'.+'\n[0-2]\.\d+\n$/);
  });
});

test('a stranger gets through it too, before he is banned', async () => {
  const sayNothingHostile = ['redis-cli', 'curl', 'curl over TLS', 'curl of elasticsearch', 'ssh-keyscan', 'ldapsearch'];
  for (const [client, command, hears] of CLIENTS.filter(([client]) => sayNothingHostile.includes(client))) {
    const from = scene.stranger();
    expect(await hear(command, { from, timeoutMs: 6_000 }), client).toMatch(hears);
    expect((await scene.banOf(from))?.tier, client).toMatch(/^E[12]$/);
  }
});

const hydra = (service: string, ...rest: readonly string[]): readonly string[] => [
  'hydra',
  '-I',
  '-t',
  '1',
  '-L',
  join(folder, 'users'),
  '-P',
  join(folder, 'secrets'),
  ...(rest.length > 0 ? [HOST, service, ...rest] : [`${service}://${HOST}`]),
];
const medusa = (module: string, ...rest: readonly string[]): readonly string[] => {
  const lists = ['-U', join(folder, 'users'), '-P', join(folder, 'secrets')];
  return ['medusa', '-h', HOST, ...lists, '-M', module, '-t', '2', ...rest];
};
const FORM = '/login.php:username=^USER^&password=^PASS^:F=ncorrect|nvalid|ailed|rror';

const GUESSERS: readonly (readonly [tool: string, port: number, command: () => readonly string[]])[] = [
  ['hydra ssh', 22, () => hydra('ssh')],
  ['hydra ftp', 21, () => hydra('ftp')],
  ['hydra telnet', 23, () => hydra('telnet')],
  ['hydra http-get', 80, () => hydra('http-get', '/manager/html')],
  ['hydra http-post-form', 80, () => hydra('http-post-form', FORM)],
  ['hydra mysql', 3306, () => hydra('mysql')],
  ['hydra postgres', 5432, () => hydra('postgres')],
  ['medusa ssh', 22, () => medusa('ssh')],
  ['medusa ftp', 21, () => medusa('ftp')],
  ['medusa http', 8080, () => medusa('http', '-n', '8080', '-m', 'DIR:manager/html')],
  ['medusa mysql', 3306, () => medusa('mysql')],
  ['medusa postgres', 5432, () => medusa('postgres')],
];

describe('a guesser', () => {
  // A search for Tomcat's console, with which medusa begins there, bans before the first pair.
  test.each(GUESSERS.filter(([tool]) => tool !== 'medusa http'))('by %s is caught at the first pair, which is written down', async (_tool, port, command) => {
    const from = scene.stranger();
    const over = new AbortController();
    const running = scene.visit(from, ['timeout', '-s', 'KILL', '9', ...command()], { env: { HOME: folder }, signal: over.signal });
    await eventually('the ban', async () => (await scene.banOf(from))?.reasons.includes('brute-force') === true, 8_000);
    expect(await scene.banOf(from)).toMatchObject({ tier: 'E2', confined: false, enforced: true });
    await eventually('its receipt', async () => (await tried(from, port)).length > 0);
    over.abort(); // timeout tells the children of hydra, too
    await running;
    const events = (await scene.events(from)).filter(({ kind }) => kind === 'credentials');
    expect(events.flatMap(({ reasons }) => reasons)).toContain('brute-force');
    expect(events.flatMap(({ techniques }) => techniques)).toContain('T1110.001');
    for (const pair of await tried(from, port)) expect(PAIRS).toContain(pair);
  });

  test.each(GUESSERS)('by %s who is allowed to is heard to the end: every pair is written down', async (_tool, port, command) => {
    const friend = scene.stranger();
    await scene.enforcer.honeymesh(['allow', 'add', friend, '--note', 'test']);
    await hear(command(), { from: friend, timeoutMs: 20_000 });
    // Over telnet hydra itself takes some prompts for refusals, with any server: the pairs of its second user stay unsent then.
    const sent = port === 23 ? PAIRS.filter(pair => pair.startsWith('root:')) : PAIRS;
    await eventually('all pairs', async () => (await tried(friend, port)).length >= sent.length).catch(() => {});
    expect(await tried(friend, port)).toEqual(port === 23 ? expect.arrayContaining([...sent]) : sent);
    expect(await scene.banOf(friend)).toBeUndefined();
  });
});

/** The pairs in the receipts of a source, each once, in order. What is hashed with a salt is tried with the secrets that were guessed. */
async function tried(source: string, port: number): Promise<readonly string[]> {
  const { receipts } = await scene.explain(source);
  const pairs = receipts.filter(receipt => receipt.port === port).flatMap(({ credentials }) => credentials.map(each => `${each.user}:${clear(each)}`));
  return [...new Set(pairs)].sort();
}

function clear({ scheme, secret }: Credential): string {
  if (scheme !== 'mysql-native-password') return secret;
  const [salt = '', answer = ''] = secret.split('*').map(part => Buffer.from(part, 'hex'));
  const sha1 = (...parts: readonly (Buffer | string)[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha1')).digest();
  const scrambled = (guess: string): Buffer => {
    const once = sha1(guess);
    return once.map((byte, at) => byte ^ (sha1(Buffer.from(salt), sha1(once))[at] ?? 0)) as Buffer;
  };
  return SECRETS.find(guess => scrambled(guess).equals(Buffer.from(answer))) ?? secret;
}
