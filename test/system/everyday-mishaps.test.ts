/** What goes wrong on any machine sooner or later: each time a clear answer, and who is banned stays banned. */
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Degraded } from '@honeymesh/intel/events';
import { describe, expect, test } from 'vitest';
import { createScene, HOST, type Scene, source } from '#test/support/attackers.ts';
import { createEnforcerHost, eventually } from '#test/support/enforcer.ts';
import { createLab } from '#test/support/namespaces.ts';

const BANNED = source(1);
const CAPACITY = 10_000; // the smallest

/** A scene of its own for each test, so that they run beside each other. */
interface Guarded {
  readonly scene: Scene;
  reaches(address: string): Promise<boolean>;
  complaints(part: Degraded['part']): Promise<string>;
  touchTrap(address: string): Promise<unknown>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

async function onGuardedHost(tell: (it: Guarded) => Promise<void>): Promise<void> {
  const scene = await createScene({ config: `bans: { capacity: ${CAPACITY} }\ntraps: { ports: [22] }\n` });
  try {
    await tell({
      scene,
      reaches: async address => (await scene.outside.run(['ping', '-c1', '-W0.5', '-I', address, HOST], { mayFail: true })).code === 0,
      complaints: async part => {
        const { degraded } = await scene.status();
        return degraded.flatMap(one => (one.part === part ? [`${one.why}; ${one.fix}`] : [])).join('\n');
      },
      touchTrap: address =>
        scene.outside.run(['python3', '-c', `import socket\nsocket.create_connection(('${HOST}', 22), 2, ('${address}', 0)).recv(50)`], { mayFail: true }),
      async stop() {
        scene.running().child.kill('SIGTERM');
        expect(await scene.running().ended).toEqual({ code: 0, signal: null });
      },
      start: () => scene.enforcer.run().ready(),
    });
  } finally {
    await scene.remove();
  }
}

describe.concurrent('no room for another ban', () => {
  const lines = Array.from({ length: CAPACITY + 50 }, (_, at) => `10.78.${at >> 8}.${at & 255}`);

  test('an import names each line that found none; what fitted is in force, nobody is pushed out, and status says it', () =>
    onGuardedHost(async ({ scene, reaches, complaints, touchTrap }) => {
      const started = await scene.enforcer.honeymesh(['bans', 'import', '-', '--ttl', '1h'], { input: [BANNED, ...lines].join('\n'), mayFail: true });
      expect(started.code).toBe(1);
      const told = `${started.stdout}${started.stderr}`;
      expect(told).toMatch(/line 10001: 10\.78\.39\.15: .*the room for 10000 bans of IPv4 addresses is full/);
      expect(told.match(/is full/g)).toHaveLength(51);
      const status = await scene.status();
      expect(status.bans).toMatchObject({ active: CAPACITY, capacity: CAPACITY });
      await eventually('status says it', async () => (await complaints('kernel')).includes('the room for 10000 bans of IPv4 addresses is full'));
      expect(await complaints('kernel')).toContain('bans.capacity');
      expect((await scene.bans()).filter(ban => !ban.enforced)).toEqual([]);
      expect(await reaches(BANNED)).toBe(false);

      const one = await scene.enforcer.honeymesh(['bans', 'add', '10.9.9.9'], { mayFail: true });
      expect(one.code).toBe(1);
      expect(one.stderr).toMatch(/is full[\s\S]*fix: .*raise bans\.capacity/);
      // An attacker with proof finds no room either; orders are not given up for it, and that is on record.
      await touchTrap(source(3));
      await eventually('it is on record', async () => (await scene.events(source(3))).some(event => String(event.detail?.notBanned).includes('is full')));

      await scene.enforcer.honeymesh(['bans', 'remove', '10.78.0.0']);
      await eventually('it has recovered', async () => (await complaints('kernel')) === '');
      await touchTrap(source(3));
      await eventually('there is room again', async () => (await scene.bans(source(3)))[0]?.tier === 'E1');
      expect(await reaches(BANNED)).toBe(false);
    }));
});

describe.concurrent('the event log', () => {
  const onStoppedHost = (tell: (it: Guarded) => Promise<void>): Promise<void> =>
    onGuardedHost(async it => {
      await it.scene.enforcer.honeymesh(['bans', 'add', BANNED, '--note', 'kept']);
      await it.stop();
      expect(await it.reaches(BANNED)).toBe(false);
      await tell(it);
    });

  test('is damaged: the ban holds all along and is known again, status says where the damaged file lies, and a new log is written', () =>
    onStoppedHost(async ({ scene, reaches, complaints, start }) => {
      writeFileSync(join(scene.enforcer.paths.state, 'events.db'), Buffer.alloc(100_000, 0x41));
      await start();
      expect(await reaches(BANNED)).toBe(false);
      expect(await complaints('store')).toMatch(/damaged[\s\S]*events\.db\.damaged-/);
      expect(readdirSync(scene.enforcer.paths.state).some(name => name.startsWith('events.db.damaged-'))).toBe(true);
      expect(await scene.bans(BANNED)).toEqual([expect.objectContaining({ target: `${BANNED}/32`, enforced: true })]);
      await scene.enforcer.honeymesh(['bans', 'add', source(4)]);
      expect((await scene.events(source(4))).map(event => event.kind)).toEqual(['ban']);
      expect((await scene.enforcer.honeymesh(['events', 'verify'])).code).toBe(0);
      expect(await reaches(source(5))).toBe(true);
    }));

  test('cannot be written: everything is enforced, old bans and new ones, status says what to mend, and all is written once it is', () =>
    onStoppedHost(async ({ scene, reaches, complaints, touchTrap, start }) => {
      const { state } = scene.enforcer.paths;
      const chmodAll = (mode: number): void => {
        for (const name of readdirSync(state)) chmodSync(join(state, name), mode);
      };
      chmodAll(0o400);
      try {
        await start();
        expect((await scene.status()).store.ok).toBe(false);
        expect(await complaints('store')).toMatch(/cannot be written[\s\S]*writable/);
        expect(await reaches(BANNED)).toBe(false);
        expect((await scene.bans(BANNED))[0]).toMatchObject({ note: 'kept', enforced: true });
        expect((await scene.enforcer.honeymesh(['bans', 'add', source(6)], { mayFail: true })).stderr).not.toContain('bug');
        expect(await reaches(source(6))).toBe(false);
        await touchTrap(source(7));
        await eventually('the trap bans', async () => !(await reaches(source(7))));
      } finally {
        chmodAll(0o600);
      }
      await eventually('it is written again', async () => (await scene.status()).store.ok, 20_000);
      await eventually('status says nothing of it any more', async () => (await complaints('store')) === '');
      expect((await scene.events(source(6))).some(event => event.kind === 'ban')).toBe(true);
      expect((await scene.events(source(7))).some(event => event.kind === 'ban')).toBe(true);
      expect((await scene.enforcer.honeymesh(['events', 'verify'])).code).toBe(0);
    }));
});

describe.concurrent('a start that finds something wrong', () => {
  test.each<[what: string, config: string, says: RegExp]>([
    ['a key that does not exist', 'interfaces: [eth0]\ndetect:\n  fats: { ports: 4 }\n', /config\.yaml:3:3: detect\.fats: unknown key, did you mean fast\?/],
    ['a unit that does not exist', 'interfaces: [eth0]\nbans: { touch: 4 hours }\n', /config\.yaml:2:16: bans\.touch: .*write "4h"/],
    ['an interface that is not there', 'interfaces: [eth1]\n', /did you mean eth0\?/],
  ])('%s: it ends with an error, says what is meant, and touches nothing', async (_what, config, says) => {
    using lab = createLab();
    const host = lab.namespace('host');
    lab.link(
      { namespace: host, device: 'eth0', addresses: ['10.76.0.1/24'] },
      { namespace: lab.namespace('outside'), device: 'eth0', addresses: ['10.76.0.2/24'] },
    );
    const wrong = createEnforcerHost(host, config);
    try {
      const refused = await wrong.honeymesh(['run'], { mayFail: true, timeoutMs: 10_000 });
      expect([1, 2]).toContain(refused.code); // 2: what was said cannot be meant
      expect(refused.stderr).toMatch(says);
      expect(lab.ip(['link', 'show', 'eth0'], host)).not.toContain('xdp');
    } finally {
      await wrong.remove();
    }
  });

  test('a driver without native mode: generic, and both start and status say so', async () => {
    using lab = createLab();
    const host = lab.namespace('host');
    lab.link(
      { namespace: host, device: 'eth0', addresses: ['10.76.0.1/24'] },
      { namespace: lab.namespace('outside'), device: 'eth0', addresses: ['10.76.0.2/24'] },
    );
    const enforcer = createEnforcerHost(host, 'interfaces: [eth0, lo]\nlog: { level: warn }\n');
    const running = enforcer.run();
    await running.ready();
    expect(running.output()).toMatch(/eth0 \(XDP native\)[\s\S]*lo \(XDP generic/);
    expect((await enforcer.json<{ interfaces: unknown }>(['status'])).interfaces).toEqual([
      { name: 'eth0', xdp: 'native' },
      { name: 'lo', xdp: 'generic' },
    ]);
    await enforcer.remove();
  });
});
