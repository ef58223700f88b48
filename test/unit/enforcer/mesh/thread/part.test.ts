import { fileURLToPath } from 'node:url';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { MINUTE_MS } from '@honeymesh/intel/time';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { parseConfig } from '#enforcer/config/load.ts';
import { createMeshPart } from '#enforcer/daemon-mesh.ts';
import type { Decision } from '#enforcer/ledger/decisions.ts';
import type { MeshKept, MeshPart } from '#enforcer/mesh/port.ts';
import { BATCHES_AHEAD } from '#enforcer/mesh/thread/messages.ts';
import { createSurroundings } from '#enforcer/mesh/thread/surroundings.ts';
import type { Pipeline } from '#enforcer/pipeline/pipeline.ts';
import { createRig, touchOf } from '#test/support/pipeline.ts';

const entry = fileURLToPath(new URL('../../../../support/mesh-thread-entry.ts', import.meta.url));
const SOURCE = '203.0.113.7' as Address;
const NOTHING: MeshKept = { identity: null, trust: null, keys: null, membership: null, epoch: 0, envelopes: [], damaged: [] };
const KEY = Buffer.alloc(32, 7).toString('base64');

const parts: MeshPart[] = [];
afterEach(() => Promise.all(parts.splice(0).map(part => part.stop())));

/** How often what else waits had its turn. */
function countTurns() {
  let turns = 0;
  let running = true;
  const turn = (): void => {
    turns++;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    count: () => turns,
    stop() {
      running = false;
    },
  };
}

/** The part with a double of the member in its thread; `name` says how that behaves. */
function partOf(name: string | null, more = '') {
  let mesh: MeshPart | undefined;
  const rig = createRig({ onDecided: (decisions: readonly Decision[]) => mesh?.decided(decisions) });
  const kept = { now: NOTHING };
  const ports: { readonly tcp: readonly number[]; readonly udp: readonly number[] }[] = [];
  const acquainted: Address[] = [];
  const silent = () => {};
  const { config } = parseConfig(name === null ? '' : `mesh: { name: ${name}, key: ${KEY} ${more} }`, 'c');
  const surroundings = createSurroundings({ now: rig.now });
  const watch = { onHear: (_inputs: number): void => {} };
  const pipeline: Pipeline = {
    ...rig.pipeline,
    hear(said) {
      watch.onHear(said.length);
      return rig.pipeline.hear(said);
    },
  };
  mesh = createMeshPart(
    { config: config?.mesh, directory: '/nonexistent', never: [] },
    {
      ...rig,
      pipeline,
      surroundings,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      loadKept: () => Promise.resolve(kept.now),
      isRegistrar: () => false,
      onPorts: of => ports.push(of),
      onAcquainted: of => acquainted.push(...of),
      entry,
    },
  );
  parts.push(mesh);
  const told = (): readonly (string | null)[] => rig.store.events.filter(event => event.kind === 'advice-sent').map(event => event.source);
  return Object.assign(watch, rig, { mesh, surroundings, kept, ports, acquainted, told, state: () => mesh.report().state });
}

describe('a host without a mesh', () => {
  test('is off, degraded by nothing, and tells nobody anything', async () => {
    const host = partOf(null);
    await host.mesh.start();
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    host.mesh.tick();
    expect(host.mesh.report()).toEqual({ state: 'off', peers: 0, name: null, site: null, signatures: 'off', registrar: false });
    expect(host.mesh.peers()).toEqual([]);
    expect(await host.mesh.link().join()).toBeNull();
    expect(host.ports).toEqual([{ tcp: [], udp: [] }]);
    expect([host.degraded.current(), host.told()]).toEqual([[], []]);
  });

  test('gets one by a restart of the part alone, once there is a membership', async () => {
    const host = partOf(null);
    await host.mesh.start();
    host.kept.now = {
      ...NOTHING,
      keys: { keys: [new Uint8Array(32)], generation: 0 },
      membership: { bind: '0.0.0.0:17946', join: [], label: '', registrar: null },
    };
    await host.mesh.restart();
    expect(host.state()).toBe('joined');
    expect(host.ports.at(-1)).toEqual({ tcp: [17_946, 7947], udp: [17_946] });
    host.kept.now = NOTHING;
    await host.mesh.restart();
    expect(host.state()).toBe('off');
    expect(host.surroundings.answered('198.51.100.2/32' as Prefix)).toBeNull();
  });
});

describe('a host with a mesh', () => {
  test('shows who is there, and how far it believes them', async () => {
    const host = partOf('h1');
    await host.mesh.start();
    expect(host.mesh.report()).toMatchObject({ state: 'joined', peers: 1, name: 'h1', site: 'home' });
    expect(host.acquainted).toEqual(['198.51.100.2']);
    expect(host.mesh.peers()).toEqual([
      {
        name: 'h2',
        address: '198.51.100.2:7946',
        state: 'alive',
        signed: true,
        site: 'lab',
        key: '0000000000000002',
        answeredAt: expect.stringMatching(/Z$/),
        trust: 1,
        adviceAccepted: 0,
        adviceRefused: 0,
      },
    ]);
  });

  test('whose thread dies decides on, says so, and tells what it decided when it is back', async () => {
    const host = partOf('dies');
    await host.mesh.start();
    await vi.waitFor(() => expect(host.degraded.current()).toMatchObject([{ part: 'mesh', why: 'UDP is blocked' }]));
    expect(await host.mesh.link().join()).toBeNull(); // that was its death
    expect(host.state()).toBe('down');
    expect(host.degraded.current()).toMatchObject([
      { part: 'mesh', why: expect.stringContaining('its thread ended'), fix: expect.stringContaining('by itself') },
    ]);
    host.pipeline.sight(touchOf(SOURCE, host.now()));
    expect(host.ledger.banOn(SOURCE, host.now())).toMatchObject({ tier: 'E1' });
    expect(host.told()).toEqual([]);
    await vi.waitFor(() => expect(host.told()).toEqual([SOURCE]), 5_000);
    expect(host.state()).toBe('joined');
    expect(host.degraded.current()).toMatchObject([{ why: 'UDP is blocked' }]);
  });

  test('says goodbye when it ends in order', async () => {
    const host = partOf('h1');
    await host.mesh.start();
    await host.mesh.stop();
    expect(host.store.events.map(event => event.summary)).toEqual(['said goodbye']);
    expect(host.state()).toBe('down');
  });

  test('survives a word that it cannot bear, and says so', async () => {
    const host = partOf('h1');
    await host.mesh.start();
    host.onHear = () => {
      throw new TypeError('x is not a function');
    };
    await host.mesh.link().advise([]);
    await vi.waitFor(() => expect(host.degraded.current()).toMatchObject([{ part: 'mesh', why: expect.stringContaining('a mistake of HoneyMesh') }]));
    expect(host.state()).toBe('joined');
  });

  test('that cannot begin says why, and is not waited for', async () => {
    const host = partOf('fails');
    await host.mesh.start();
    expect(host.state()).toBe('down');
    expect(host.degraded.current()).toEqual([{ part: 'mesh', why: 'the mesh is down: the port is taken', fix: 'choose another' }]);
  });

  test('that reaches nobody for five minutes says so, if it knows whom to reach', async () => {
    const [host, founder] = [partOf('alone', ', join: [192.0.2.9]'), partOf('alone')];
    for (const { mesh, pass, state } of [host, founder]) {
      await mesh.start();
      mesh.tick();
      pass(4 * MINUTE_MS);
      mesh.tick();
      expect(state()).toBe('alone');
    }
    expect(host.degraded.current()).toEqual([]);
    for (const { mesh, pass } of [host, founder]) {
      pass(2 * MINUTE_MS);
      mesh.tick();
    }
    expect(host.degraded.current()).toMatchObject([{ part: 'mesh', why: expect.stringContaining('5 minutes') }]);
    expect(founder.degraded.current()).toEqual([]);
  });

  test('that is flooded with advice goes on with its own work', async () => {
    const host = partOf('h1');
    await host.mesh.start();
    const turns = countTurns();
    const heard: { readonly inputs: number; readonly turn: number }[] = [];
    host.onHear = inputs => heard.push({ inputs, turn: turns.count() });
    await host.mesh.link().advise([]);
    await vi.waitFor(() => expect(host.ledger.standing('a1', host.now()).refused).toBe(16_384), 5_000);
    turns.stop();
    expect(Math.max(...heard.map(one => one.inputs))).toBe(128);
    const atOnce = [...Map.groupBy(heard, one => one.turn).values()].map(batches => batches.length);
    expect(Math.max(...atOnce)).toBeLessThanOrEqual(BATCHES_AHEAD);
    await vi.waitFor(() => expect(host.store.events.filter(event => event.source === null && event.kind === 'advice-refused')).toHaveLength(1));
  });
});
