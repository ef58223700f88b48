/** The real packet filter in a scratch instance: nothing attached, nothing pinned; a frame in, the verdict out. Needs root. */
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { createKernelClock, type KernelClock } from '#enforcer/kernel/clock.ts';
import { decodeEvent, decodeStats, NO_COUNT, STATS_ROWS, stampConfig, stampGuard, sumCounts } from '#enforcer/kernel/codecs.ts';
import { createKernelOnMaps, type KernelMaps } from '#enforcer/kernel/kernel-on-maps.ts';
import { MAP_NAMES, type MapName } from '#enforcer/kernel/layouts.ts';
import { indexKey, joined, type KernelMap, kernelMap } from '#enforcer/kernel/maps.ts';
import { addon, mustHave, type TestRunOptions, testRun, XDP_HAS_FRAGS } from '#enforcer/kernel/native.ts';
import type { Kernel, KernelConfig, KernelEvent, KernelStats } from '#enforcer/kernel/port.ts';
import { readRings, recordsOf } from '#enforcer/kernel/ring.ts';
import { VERDICTS, type Verdict } from '#enforcer/kernel/verdicts.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { build } from '#enforcer/launch/setup/build.mjs';
import { TEST_CONFIG } from '#test/support/kernel-config.ts';

export { TEST_CONFIG };

export type ProgramName = 'hm_xdp' | 'hm_steer' | 'hm_egress' | 'hm_sockops';

export interface Tried {
  /** From the difference of the stats; null where the program counted nothing (tc), or more than one thing (`repeat`). */
  readonly verdict: Verdict | null;
  readonly bank: 'enforced' | 'would' | 'paused' | null;
  /** XDP: pass or drop. */
  readonly action: 'pass' | 'drop' | 'other';
  readonly retval: number;
  readonly durationNs: number;
}

export interface KernelTester {
  readonly kernel: Kernel;
  readonly clock: KernelClock;
  readonly maps: KernelMaps;
  readonly programs: Readonly<Record<ProgramName, number>>;
  map(name: MapName): KernelMap;
  /** Runs hm_xdp on one frame. */
  run(frame: Uint8Array, options?: TestRunOptions): Tried;
  /** Runs another program; the verdict is that of the stats, if it counted. */
  runProgram(program: ProgramName, frame: Uint8Array, options?: TestRunOptions): Tried;
  /** Overrides some of TEST_CONFIG. */
  configure(config?: Partial<KernelConfig>): void;
  /** Events since the last call, ban events first. */
  events(): readonly KernelEvent[];
  stats(): KernelStats;
  /** Stops listening for `events`, for tests that read the rings themselves. */
  deafen(): void;
  /** Empties every map but the configuration, and forgets events. */
  reset(): void;
  close(): void;
  [Symbol.dispose](): void;
}

export interface TesterOptions {
  readonly objectPath?: string;
  readonly mapSizes?: Partial<Record<MapName, number>>;
  readonly config?: Partial<KernelConfig>;
  readonly now?: () => UnixMs;
}

/** Builds what is out of date, loads, configures with TEST_CONFIG. */
export function createKernelTester(options: TesterOptions = {}): KernelTester {
  if (options.objectPath === undefined) build();
  const now = options.now ?? (() => unixMs(Date.now()));
  const loaded = addon().load(options.objectPath ?? PARTS.program, Object.entries(options.mapSizes ?? {}), [], XDP_HAS_FRAGS);
  if ('errno' in loaded) throw new Error(`the packet filter did not load (errno ${-loaded.errno})\n${loaded.log}`);
  const maps = Object.fromEntries(MAP_NAMES.map(name => [name, kernelMap(name, loaded.maps[name] ?? -1)])) as Record<MapName, KernelMap>;
  for (const [name, fd] of Object.entries(loaded.maps)) if (!(name in maps)) addon().closeFd(fd);
  const programs = Object.fromEntries(loaded.programs.map(program => [program.name, program.fd])) as Record<ProgramName, number>;
  const clock = createKernelClock({ now });
  const kernel = createKernelOnMaps(maps, { now });
  const heard: KernelEvent[] = [];
  const ring = readRings([maps.events_hi.fd, maps.events_lo.fd], batch => {
    for (const record of recordsOf(batch)) {
      const event = decodeEvent(record, clock);
      if (event === null) throw new Error(`an unknown event: ${Buffer.from(record).toString('hex')}`);
      heard.push(event);
    }
  });

  const keys = joined(
    Array.from({ length: STATS_ROWS }, (_, at) => indexKey(at)),
    4,
  );
  const rows = (): readonly { packets: number; bytes: number }[] => {
    const { values } = maps.stats.getMany(keys);
    const size = maps.stats.valueSize;
    return Array.from({ length: STATS_ROWS }, (_, at) => sumCounts(values.subarray(at * size, (at + 1) * size)));
  };
  const banks = ['enforced', 'would', 'paused'] as const;

  const runProgram = (program: ProgramName, frame: Uint8Array, run: TestRunOptions = {}): Tried => {
    const before = rows();
    const ran = testRun(programs[program], frame, run);
    const after = rows();
    let verdict: Verdict | null = null;
    let bank: Tried['bank'] = null;
    let changed = 0;
    for (let at = 0; at < VERDICTS.length * banks.length; at++) {
      if (after[at]?.packets === before[at]?.packets) continue;
      changed++;
      verdict = VERDICTS[at % VERDICTS.length] ?? null;
      bank = banks[Math.floor(at / VERDICTS.length)] ?? null;
    }
    if (changed > 1) [verdict, bank] = [null, null];
    const action = ran.retval === 1 ? 'drop' : ran.retval === 2 ? 'pass' : 'other';
    return { verdict, bank, action: program === 'hm_xdp' ? action : ran.retval === 0 ? 'pass' : 'drop', retval: ran.retval, durationNs: ran.durationNs };
  };

  const empty = (map: KernelMap): void => {
    const gone = [...map.entries()].map(([key]) => key);
    if (gone.length > 0) map.removeMany(joined(gone, map.keySize));
  };
  const zero = (map: KernelMap): void => {
    const all = [...map.entries()].filter(([, value]) => value.some(byte => byte !== 0)).map(([key]) => key);
    map.putMany(joined(all, map.keySize), new Uint8Array(all.length * map.valueSize));
  };

  /** As the loader leaves it. */
  const freshGuard = (): void => {
    const entry = new Uint8Array(maps.guard.valueSize);
    stampGuard(entry);
    maps.guard.put(indexKey(0), entry);
  };

  const tester: KernelTester = {
    kernel,
    clock,
    maps,
    programs,
    map: name => maps[name],
    run: (frame, run) => runProgram('hm_xdp', frame, run),
    runProgram,
    configure: (config = {}) => kernel.setConfig({ ...TEST_CONFIG, ...config }),
    events() {
      while (ring.drain() > 0);
      return heard.splice(0);
    },
    deafen: () => ring.stop(),
    stats: () => decodeStats(at => rows()[at] ?? NO_COUNT),
    reset() {
      for (const name of ['ban4', 'ban6', 'ban6x', 'own', 'trackers', 'watch', 'shuns', 'proven', 'flows_out'] as const) empty(maps[name]);
      for (const name of ['served', 'trap_ports', 'heartbeat', 'stats'] as const) zero(maps[name]);
      freshGuard();
      kernel.setRules([]);
      kernel.setServedPorts({ tcp: [], udp: [] }, { tcp: [], udp: [] });
      kernel.sweep(now()); // clears the flags of what is empty now
      tester.events();
    },
    close() {
      ring.stop();
      kernel.close();
      for (const fd of Object.values(programs)) addon().closeFd(fd);
    },
    [Symbol.dispose]: () => tester.close(),
  };

  const cookie = mustHave(addon().netnsCookie(), 'HM_BPF_LOAD', 'asking for the cookie of the network namespace');
  const entry = new Uint8Array(maps.config.valueSize);
  stampConfig(entry, cookie);
  maps.config.put(indexKey(0), entry);
  freshGuard();
  tester.configure(options.config);
  return tester;
}
