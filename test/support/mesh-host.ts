/** Whole members of the mesh on loopback, each with its folder, all at one wall clock that begins at noon. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { type MeshHostDeps, type MeshStart, type RunningMeshHost, startMeshHost } from '#enforcer/mesh/host/host.ts';
import type { MeshSettings, MeshWord } from '#enforcer/mesh/port.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { CLUSTER, type Host, NOON, real, secretOf, type Trust, trust } from '#test/support/hm1.ts';

export interface TestHost {
  readonly name: string;
  readonly host: RunningMeshHost;
  readonly words: readonly MeshWord[];
  readonly port: number;
  readonly directory: string;
  /** Resolves when a word makes it true, or by time alone. */
  until(what: string, condition: () => boolean): Promise<void>;
  heard(): readonly string[];
  complaints(): readonly string[];
  refusals(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

export interface HostOptions {
  readonly settings?: Partial<MeshSettings>;
  readonly deps?: Partial<MeshHostDeps>;
  /** Absent: certified by the registrar of `trusted`. Null: a member without identity. */
  readonly identity?: Host | null;
  /** Of an earlier host that was stopped. */
  readonly directory?: string;
}

export const GROUP_KEY = secretOf('group');
/** A test waits no longer. */
const PATIENCE_MS = 15_000;

/** Fast enough for tests, with all parts switched on. */
export const QUICK = {
  probeIntervalMs: 200,
  probeTimeoutMs: 100,
  gossipIntervalMs: 50,
  suspicionMult: 3,
  suspicionMaxTimeoutMult: 3,
  pushPullIntervalMs: 1_000,
} as const;

export function createTestHosts(trusted: Trust = trust(real)) {
  const running = new Set<RunningMeshHost>();
  const folders: string[] = [];
  const startedMs = performance.now();
  let skewMs = 0;
  const now = (): UnixMs => unixMs(NOON + Math.round(performance.now() - startedMs) + skewMs);

  async function attempt(name: string, { settings = {}, deps = {}, identity, directory }: HostOptions, words: MeshWord[], wake: () => void) {
    let folder = directory;
    if (folder === undefined) {
      const parent = await mkdtemp(join(tmpdir(), 'hm-mesh-host-'));
      folders.push(parent);
      folder = join(parent, 'mesh');
      const state = createMeshState(folder);
      const own = identity === undefined ? trusted.host(name) : identity;
      if (own !== null) {
        await state.keepIdentity({ nodeName: own.certificate.nodeName, edSecret: own.edSecret, xSecret: own.xSecret });
        await state.keepTrust({
          clusterId: CLUSTER,
          rootPublic: edPublicOf(trusted.rootSecret),
          certificate: own.certificate.bytes,
          registrars: [trusted.registrar.bytes],
          revocations: [],
          names: [],
        });
      }
    }
    const full: MeshSettings = {
      nodeName: name,
      bind: '127.0.0.1',
      port: 0,
      advertise: null,
      join: [],
      label: 'honeymesh',
      profile: 'lan',
      signatures: 'required',
      seedKey: GROUP_KEY,
      directory: folder,
      ...settings,
    };
    const started = await startMeshHost(full, {
      now,
      tuning: QUICK,
      ...deps,
      onWord(word) {
        words.push(word);
        wake();
      },
    });
    return { started, folder };
  }

  return {
    now,
    trusted,
    skew: (ms: number) => {
      skewMs = ms;
    },
    async refused(name: string, options: HostOptions = {}): Promise<Extract<MeshStart, { ok: false }>> {
      const { started } = await attempt(name, options, [], () => undefined);
      if (started.ok) throw new Error(`${name} started`);
      return started;
    },
    async start(name: string, options: HostOptions = {}): Promise<TestHost> {
      const words: MeshWord[] = [];
      const watchers = new Set<() => void>();
      const wake = (): void => {
        for (const watcher of watchers) watcher();
      };
      const { started, folder } = await attempt(name, options, words, wake);
      if (!started.ok) throw new Error(`${name} did not start: ${started.why}`);
      const host = started.value;
      running.add(host);
      return {
        name,
        host,
        words,
        port: host.node.advertised.port,
        directory: folder,
        until(what, condition) {
          const { promise, resolve, reject } = Promise.withResolvers<void>();
          const given = setTimeout(() => {
            watchers.delete(look);
            clearInterval(again);
            reject(new Error(`${name} waited in vain until ${what}; it said ${JSON.stringify(words.filter(({ kind }) => kind !== 'view')).slice(-2_000)}`));
          }, PATIENCE_MS);
          const look = (): void => {
            if (!condition()) return;
            watchers.delete(look);
            clearInterval(again);
            clearTimeout(given);
            resolve();
          };
          const again = setInterval(look, 20);
          watchers.add(look);
          look();
          return promise;
        },
        heard: () =>
          words.flatMap(word =>
            word.kind === 'heard'
              ? word.inputs.map(input => {
                  if (input.kind === 'advice') return `advice ${input.advice.target}`;
                  return input.kind === 'withdrawal' ? `withdrawal ${input.withdrawal.target ?? 'all'}` : input.kind;
                })
              : [],
          ),
        complaints() {
          const open = new Set<string>();
          for (const word of words) {
            if (word.kind === 'complaint') open.add(word.key);
            if (word.kind === 'recovered') open.delete(word.key);
          }
          return [...open];
        },
        refusals() {
          const counts: Record<string, number> = {};
          for (const word of words)
            if (word.kind === 'refused') for (const [why, count] of Object.entries(word.counts)) counts[why] = (counts[why] ?? 0) + count;
          return counts;
        },
        async stop() {
          running.delete(host);
          await host.stop();
        },
      };
    },
    async stop(): Promise<void> {
      await Promise.all([...running].map(host => host.stop()));
      running.clear();
      await Promise.all(folders.splice(0).map(folder => rm(folder, { recursive: true, force: true })));
    },
  };
}

/** Both know each other as certified, and answered each other. */
export async function meet(...hosts: readonly TestHost[]): Promise<void> {
  const [first, ...others] = hosts;
  for (const other of others) await other.host.join([`127.0.0.1:${first?.port}`]);
  for (const one of hosts)
    for (const other of hosts)
      if (one !== other)
        await one.until(`it knows ${other.name}`, () =>
          one.host.view().peers.some(peer => peer.name === other.name && peer.state === 'alive' && peer.answeredAt !== null),
        );
}

export const stateOf = (one: TestHost, name: string): string => one.host.view().peers.find(peer => peer.name === name)?.state ?? 'unknown';
export const told = (one: TestHost, what: string): readonly string[] =>
  one.words.flatMap(word => (word.kind === 'peer' && word.what === what ? [word.name] : []));
export const refusedAtAll = (one: TestHost): number => one.host.view().counts.refusedAtAll ?? 0;
