/** Who belongs to a mesh, through the command line alone: three enforcers that no configuration made members found one, join, change keys, are revoked and leave. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InviteReport, JoinReport, LeaveReport, MeshStatusReport, RevocationReport, RotationReport } from '#enforcer/control/mesh-operations.ts';
import type { BanRow, EventRow, StatusReport } from '#enforcer/control/operations.ts';
import type { PeerRow } from '#enforcer/mesh/port.ts';
import { createEnforcerHost, type EnforcerHost, eventually } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const TRAP_PORT = 2323;
const STRANGER = '10.81.0.99';
const CONFIG = `interfaces: [eth0]
log: { level: warn }
traps: { ports: [${TRAP_PORT}], patience: instant }
share: { never: [] }
`;

interface Member {
  readonly name: string;
  readonly address: string;
  readonly enforcer: EnforcerHost;
}

let lab: Lab;
let outside: Namespace;
let folder: string;
let rootFile: string;
let passphraseFile: string;
const members: Member[] = [];
const [one, two, three] = ['anvil', 'badger', 'copper'].map((name, at) => ({ name, address: `10.81.0.${at + 1}` }) as Member) as [Member, Member, Member];

beforeAll(async () => {
  lab = createLab();
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-root-'));
  rootFile = join(folder, 'root.json');
  passphraseFile = join(folder, 'passphrase');
  writeFileSync(passphraseFile, 'correct horse battery staple\n', { mode: 0o600 });
  const switchboard = lab.namespace('switch');
  lab.ip(['link', 'add', 'br0', 'type', 'bridge'], switchboard);
  lab.ip(['link', 'set', 'br0', 'up'], switchboard);
  const plug = (namespace: Namespace, port: string, address: string): void => {
    lab.link({ namespace, device: 'eth0', addresses: [`${address}/24`] }, { namespace: switchboard, device: port, addresses: [] });
    lab.ip(['link', 'set', port, 'master', 'br0'], switchboard);
  };
  outside = lab.namespace('outside');
  plug(outside, 'p-out', STRANGER);
  for (const member of [one, two, three]) {
    const namespace = lab.namespace(member.name);
    plug(namespace, `p-${member.name}`, member.address);
    Object.assign(member, { enforcer: createEnforcerHost(namespace, CONFIG) });
    members.push(member);
  }
  await Promise.all(members.map(({ enforcer }) => enforcer.run().ready()));
});

afterAll(async () => {
  const removed = await Promise.allSettled(members.map(({ enforcer }) => enforcer.remove()));
  lab.remove();
  rmSync(folder, { recursive: true, force: true });
  for (const outcome of removed) if (outcome.status === 'rejected') throw outcome.reason;
});

const meshOf = ({ enforcer }: Member): Promise<MeshStatusReport> => enforcer.json(['mesh', 'status']);
const peersOf = ({ enforcer }: Member): Promise<readonly PeerRow[]> => enforcer.json(['peers', 'list']);
const events = ({ enforcer }: Member, kind: string): Promise<readonly EventRow[]> => enforcer.json(['events', 'list', '--kind', kind, '--limit', '500']);
const failing = async ({ enforcer }: Member, ...args: string[]): Promise<{ code: number; err: string }> => {
  const { code, stderr } = await enforcer.honeymesh(args, { mayFail: true });
  return { code, err: stderr };
};
const signedPeers = async (member: Member): Promise<readonly string[]> =>
  (await peersOf(member))
    .filter(peer => peer.signed && peer.state === 'alive')
    .map(peer => peer.name)
    .sort();
const inviteFrom = (member: Member, ...args: string[]): Promise<InviteReport> => member.enforcer.json(['mesh', 'invite', ...args]);

test('a host without a mesh says what to do, whatever is asked of it', async () => {
  expect(await meshOf(one)).toMatchObject({ state: 'off', key: null, registrar: null, registrars: [] });
  for (const args of [
    ['mesh', 'invite'],
    ['mesh', 'rotate-key'],
    ['mesh', 'revoke', 'badger'],
    ['mesh', 'leave'],
  ]) {
    const { code, err } = await failing(one, ...args);
    expect(code).toBe(1);
    expect(err).toMatch(/^honeymesh: this host is no (registrar|member of a mesh)\nfix: .*honeymesh mesh/);
  }
});

test('init founds a mesh: this host is its registrar, the root is encrypted in a file that only its owner reads', async () => {
  const line = ['mesh', 'init', '--site', 'home', '--sites', 'home,lab', '--name', one.name, '--root-file', rootFile, '--passphrase-file', passphraseFile];
  const said = (await one.enforcer.honeymesh(line)).stdout;
  expect(said).toContain('founded a mesh: this host is anvil of site home, a registrar for home, lab until ');
  expect(said).toContain(`move ${rootFile} off this host`);
  expect(statSync(rootFile).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(rootFile, 'utf8'))).toMatchObject({ format: 'honeymesh-mesh-root', scrypt: { cost: 17 } });
  expect(await meshOf(one)).toMatchObject({
    name: 'anvil',
    site: 'home',
    signatures: 'required',
    renewsFrom: 'this host',
    registrar: { sites: ['home', 'lab'], address: '0.0.0.0:7947' },
  });

  // Another host cannot begin a second mesh over the same file.
  const again = await failing(two, ...line);
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining('is there already, and this host is no member of its mesh') });
});

test('join makes members that know each other by signature', async () => {
  const invite = await inviteFrom(one, '--ttl', '10m');
  expect(invite).toMatchObject({ site: 'home', addresses: [`${one.address}:7947`], used: 0 });
  const joined = await two.enforcer.json<JoinReport>(['mesh', 'join', invite.token, '--name', two.name]);
  expect(joined).toMatchObject({ name: 'badger', site: 'home', registrar: { address: `${one.address}:7947` }, met: ['anvil'] });
  expect(await failing(three, 'mesh', 'join', invite.token, '--name', three.name)).toEqual({
    code: 1,
    err: expect.stringContaining('the token was used already'),
  });
  expect(await failing(three, 'mesh', 'join', invite.token.slice(0, -9))).toEqual({ code: 2, err: expect.stringContaining('cut or mistyped') });

  const { token } = await inviteFrom(one, '--site', 'lab');
  const taken = await failing(three, 'mesh', 'join', token, '--name', two.name);
  expect(taken).toEqual({ code: 1, err: expect.stringContaining('the mesh has a host named badger already') });
  // Through standard input, where no list of processes shows it.
  const { stdout } = await three.enforcer.honeymesh(['mesh', 'join', '-', '--name', three.name], { input: `${token}\n` });
  expect(stdout).toContain('joined as    copper of site lab'.slice(0, 9));
  for (const member of members) {
    const others = members.filter(other => other !== member).map(other => other.name);
    await eventually(`${member.name} has two signed peers`, async () => (await signedPeers(member)).join() === others.join());
  }
  const refused = (await events(one, 'auth')).map(event => event.summary);
  expect(refused).toContainEqual(expect.stringContaining('the registrar refused to join the mesh: used-token'));
  expect(refused).toContainEqual(expect.stringContaining('copper (key '));
  expect(JSON.stringify(refused)).not.toContain(token.slice(20, 60));
  expect(await three.enforcer.json<StatusReport>(['status'])).toMatchObject({
    mesh: { state: 'joined', peers: 2, name: 'copper', site: 'lab', registrar: false },
    degraded: [],
  });
});

test('rotate-key gives all of them a new key, and nobody is lost over it', async () => {
  const rotation = await one.enforcer.json<RotationReport>(['mesh', 'rotate-key', '--now']);
  expect(rotation).toMatchObject({ generation: 1, hosts: 3 });
  for (const member of members) await eventually(`${member.name} uses the new key`, async () => (await meshOf(member)).keyGeneration === 1);
  for (const member of members) expect(await signedPeers(member)).toHaveLength(2);
  expect((await failing(two, 'mesh', 'rotate-key')).err).toContain('this host is no registrar');
});

test('a host that slept through a rotation fetches the key from its registrar, by itself', async () => {
  await two.enforcer.honeymesh(['stop']);
  const { generation } = await one.enforcer.json<RotationReport>(['mesh', 'rotate-key', '--now']);
  for (const member of [one, three]) await eventually(`${member.name} uses the new key`, async () => (await meshOf(member)).keyGeneration === generation);
  await two.enforcer.run().ready();
  await eventually(
    'badger has the key and two signed peers',
    async () => (await meshOf(two)).keyGeneration === generation && (await signedPeers(two)).length === 2,
    30_000,
  );
  expect((await events(one, 'auth')).map(event => event.summary)).toContain("badger fetched the group's keys");
});

test('a host that is revoked is out: no member any more, and what is said it cannot read', async () => {
  const before = (await meshOf(three)).keyGeneration ?? 0;
  const revoked = await one.enforcer.json<RevocationReport>(['mesh', 'revoke', three.name]);
  expect(revoked).toMatchObject({ name: 'copper', by: 'registrar', number: 1, rekeyed: { hosts: 2 } });
  const generation = revoked.rekeyed?.generation ?? 0;
  expect(generation).toBeGreaterThan(before);
  for (const [member, other] of [
    [one, two],
    [two, one],
  ] as const) {
    await eventually(`${member.name} uses the new key`, async () => (await meshOf(member)).keyGeneration === generation);
    await eventually(`${member.name} has one peer`, async () => (await signedPeers(member)).join() === other.name, 20_000);
  }
  await outside.run(['python3', '-c', `import socket; s=socket.create_connection(("${one.address}", ${TRAP_PORT}), 2)`]);
  const bans = async ({ enforcer }: Member): Promise<readonly string[]> => (await enforcer.json<BanRow[]>(['bans', 'list'])).map(ban => ban.target);
  await eventually('badger bans on the word of anvil', async () => (await bans(two)).includes(`${STRANGER}/32`));
  expect((await meshOf(three)).keyGeneration).toBe(before);
  expect(await bans(three)).toEqual([]);
  // It asks for the key that it lacks, and gets nothing.
  await eventually(
    'it was refused',
    async () => (await events(one, 'auth')).some(event => event.source === three.address && event.summary.includes("the group's keys: revoked")),
    30_000,
  );
});

test('leave says goodbye and removes what made it a member; the registrar does not go by mistake', async () => {
  expect(await two.enforcer.json<LeaveReport>(['mesh', 'leave'])).toMatchObject({ goodbye: 'told', name: 'badger', wasRegistrar: false, configured: false });
  await eventually('anvil saw it leave', async () => (await peersOf(one)).every(peer => peer.state !== 'alive'));
  expect(await meshOf(two)).toMatchObject({ state: 'off', key: null, cluster: null });
  expect((await failing(one, 'mesh', 'leave')).err).toContain('honeymesh mesh leave --registrar');

  // Its name is free for it again, with new keys.
  const { token } = await inviteFrom(one);
  expect(await two.enforcer.json<JoinReport>(['mesh', 'join', token, '--name', two.name])).toMatchObject({
    name: 'badger',
    keyGeneration: (await meshOf(one)).keyGeneration,
    met: ['anvil'],
  });
});

test('the root makes a second registrar and takes the first one back, which begins anew as a plain host', async () => {
  const root = ['--root-file', rootFile, '--passphrase-file', passphraseFile];
  expect(await two.enforcer.json<MeshStatusReport>(['mesh', 'init', '--sites', 'home', ...root])).toMatchObject({ name: 'badger', renewsFrom: 'this host' });
  await eventually('anvil knows the second one', async () => (await meshOf(one)).registrars.length === 2);
  const key = (await meshOf(one)).registrar?.key ?? '';
  expect(await two.enforcer.json<RevocationReport>(['mesh', 'revoke', key, ...root])).toMatchObject({
    name: null,
    by: 'root',
    fallen: ['anvil'],
    rekeyed: { hosts: 1 },
  });
  await eventually('badger believes it no more', async () => (await signedPeers(two)).length === 0);
  const complaints = async () => (await one.enforcer.json<StatusReport>(['status'])).degraded.map(({ why }) => why).join();
  await eventually('anvil hears of it and says so', async () => (await complaints()).includes('revoked'));

  await one.enforcer.honeymesh(['mesh', 'leave', '--registrar']);
  const { token } = await inviteFrom(two);
  expect(await one.enforcer.json<JoinReport>(['mesh', 'join', token, '--name', one.name])).toMatchObject({ name: 'anvil', met: ['badger'] });
  await eventually('they know each other again', async () => (await signedPeers(two)).join() === one.name);
  expect(await meshOf(one)).toMatchObject({ registrar: null, renewsFrom: `${two.address}:7947` });
});
