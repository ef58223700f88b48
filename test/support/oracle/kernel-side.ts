/**
 * The kernel's own program under BPF_PROG_TEST_RUN, in the same terms as the oracle: a scenario in, then frame by frame the verdict as
 * the statistics counted it, the events, and what the maps hold afterwards. Loads an object of its own, pins and attaches nothing.
 */
import { COUNTER_ROWS } from '#enforcer/kernel/layouts.ts';
import { addon, mustBe, mustHave, testRun, XDP_HAS_FRAGS } from '#enforcer/kernel/native.ts';
import { VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { decodeShun, EVENT_LAYOUT, encode, field, type Layouts, REASONS, read, trackedPorts } from './kernel-state.ts';
import type { Scenario } from './scenario.ts';

export interface SeenVerdict {
  readonly verdict: string;
  readonly bank: string;
  readonly dropped: boolean;
}

export interface Remains {
  /** By source key in hex. */
  readonly shuns: ReadonlyMap<string, string>;
  readonly trackers: ReadonlyMap<string, readonly string[]>;
}

export interface KernelSide {
  /** Empties the maps, fills them with the scenario; the start is a little before now. */
  play(scenario: Scenario): bigint;
  /** `expected` is looked for first: one system call where it is right. */
  judge(frame: Uint8Array, expected: SeenVerdict): SeenVerdict;
  /** The events since `play`, as text. */
  events(): string[];
  remains(): Remains;
  counter(at: number): bigint;
  /** What the entries of a map of bans dropped. */
  drops(map: 'ban4' | 'ban6' | 'ban6x'): bigint[];
  close(): void;
}

const BANKS = ['enforced', 'would', 'paused'] as const;
const EVENT_KINDS = ['', 'touch', 'suspect', 'scan', 'flood', 'ban-hit', 'map-full', 'guard'];
const XDP_DROP = 1;
const XDP_PASS = 2;
const RECORDS = 8_192;
const CLEARED = ['ban4', 'ban6', 'ban6x', 'pfx4', 'pfx6', 'own', 'trackers', 'watch', 'shuns', 'proven', 'flows_out'] as const;
const ZEROED = ['hint', 'ban4_hint', 'served', 'trap_ports'] as const;
/** The room in `shuns` here: a test fills it. */
export const SHUN_ROOM = 512;
/** Small maps are emptied faster; none of the random scenarios comes near them. */
const SIZES: readonly (readonly [string, number])[] = [
  ['ban4', 512],
  ['ban6', 512],
  ['ban6x', 512],
  ['trackers', 8_192],
  ['watch', 512],
  ['shuns', SHUN_ROOM],
  ['proven', 8_192],
  ['flows_out', 8_192],
];

/** `listening`: the ports of the test's own sockets, whose `served` entries the kernel writes. */
export function createKernelSide(listening: readonly number[], objectPath: string = PARTS.program): KernelSide {
  const native = addon();
  const loaded = native.load(objectPath, SIZES, [], XDP_HAS_FRAGS);
  if ('errno' in loaded) throw new Error(`the kernel refused ${objectPath}: ${loaded.errno}\n${loaded.log}`);
  const program = loaded.programs.find(({ type }) => type === 6)?.fd;
  if (program === undefined) throw new Error(`${objectPath} has no XDP program`);
  const fd = (map: string): number => {
    const found = loaded.maps[map];
    if (found === undefined) throw new Error(`${objectPath} has no map ${map}`);
    return found;
  };
  const layoutOf = (name: string) => mustHave(native.structLayout(objectPath, name), 'HM_MAP', `BTF of ${name}`);
  const layouts: Layouts = {
    hm_ban: layoutOf('hm_ban'),
    hm_rule: layoutOf('hm_rule'),
    hm_tracker: layoutOf('hm_tracker'),
    hm_shun: layoutOf('hm_shun'),
    hm_flow: layoutOf('hm_flow'),
    hm_config: layoutOf('hm_config'),
    hm_guard: layoutOf('hm_guard'),
  };
  const sizes = new Map([...CLEARED, ...ZEROED, 'config', 'guard'].map(name => [name, mustHave(native.mapInfo(fd(name)), 'HM_MAP', name)] as const));
  const sizeOf = (name: string) => sizes.get(name) ?? { keySize: 0, valueSize: 0, maxEntries: 0 };
  const buffer = new Uint8Array(RECORDS * EVENT_LAYOUT.size);
  const ring = mustHave(
    native.startRing([fd('events_hi'), fd('events_lo')], buffer, EVENT_LAYOUT.size, () => {}),
    'HM_MAP',
    'the ring buffers',
  );
  const rowBytes = 16 * native.possibleCpus();
  const counted = new Array<bigint>(BANKS.length * VERDICTS.length + COUNTER_ROWS).fill(0n);
  let written = new Map<string, Set<number>>();
  let startNs = 0n;
  let slowWindowNs = 0n;

  const statsOf = (index: number): bigint => {
    const value = new Uint8Array(rowBytes);
    mustBe(native.mapLookup(fd('stats'), key32(index), value), 'HM_MAP', 'stats');
    const words = new BigUint64Array(value.buffer);
    let sum = 0n;
    for (let at = 0; at < words.length; at += 2) sum += words[at] ?? 0n;
    return sum;
  };
  const indexOf = ({ verdict, bank }: SeenVerdict): number =>
    BANKS.indexOf(bank as (typeof BANKS)[number]) * VERDICTS.length + VERDICTS.indexOf(verdict as (typeof VERDICTS)[number]);
  const put = (name: string, key: Uint8Array, value: Uint8Array): void => void mustBe(native.mapUpdate(fd(name), key, value, 0), 'HM_MAP', `writing ${name}`);
  const dump = (name: string) => mustHave(native.mapDump(fd(name), sizeOf(name).keySize, sizeOf(name).valueSize, sizeOf(name).maxEntries), 'HM_MAP', name);

  function empty(): void {
    for (const name of CLEARED) {
      const { count, keys } = dump(name);
      if (count > 0) native.mapDeleteMany(fd(name), keys, sizeOf(name).keySize, new Int32Array(count));
    }
    for (const [name, indexes] of written) for (const index of indexes) put(name, key32(index), new Uint8Array(8));
    written = new Map([
      ['served', new Set(listening.flatMap(port => [port, 65_536 + port]))],
      ['hint', new Set()],
      ['ban4_hint', new Set()],
      ['trap_ports', new Set()],
    ]);
    put('guard', key32(0), new Uint8Array(sizeOf('guard').valueSize));
    native.mapUpdate(fd('budget'), key32(0), new Uint8Array(8 * native.possibleCpus()), 0);
    ring.drain();
  }

  function rowsOf(name: string): { key: string; value: Uint8Array }[] {
    const { keySize, valueSize } = sizeOf(name);
    const { count, keys, values } = dump(name);
    return Array.from({ length: count }, (_, at) => ({
      key: new DataView(keys.buffer, keys.byteOffset + at * keySize).getBigUint64(0, true).toString(16),
      value: values.slice(at * valueSize, (at + 1) * valueSize),
    }));
  }

  return {
    play(scenario) {
      empty();
      startNs = process.hrtime.bigint();
      slowWindowNs = scenario.settings.slowWindowNs;
      for (const [name, rows] of encode(scenario, startNs, layouts)) {
        for (const { key, value } of rows) {
          put(name, key, value);
          written.get(name)?.add(new DataView(key.buffer, key.byteOffset).getUint32(0, true));
        }
      }
      return startNs;
    },
    judge(frame, expected) {
      const { retval } = testRun(program, frame);
      const dropped = retval === XDP_DROP;
      if (!dropped && retval !== XDP_PASS) return { verdict: `XDP action ${retval}`, bank: 'none', dropped };
      const index = indexOf(expected);
      const total = statsOf(index);
      if (total === (counted[index] ?? 0n) + 1n) {
        counted[index] = total;
        return { ...expected, dropped };
      }
      let seen: SeenVerdict = { verdict: 'nothing was counted', bank: 'none', dropped };
      for (const [bankAt, bank] of BANKS.entries()) {
        for (const [verdictAt, verdict] of VERDICTS.entries()) {
          const at = bankAt * VERDICTS.length + verdictAt;
          const now = statsOf(at);
          if (now !== counted[at]) seen = { verdict, bank, dropped };
          counted[at] = now;
        }
      }
      return seen;
    },
    events() {
      const count = mustBe(ring.drain(), 'HM_MAP', 'the ring buffers');
      return Array.from({ length: count }, (_, at) => {
        const record = buffer.slice(at * EVENT_LAYOUT.size, (at + 1) * EVENT_LAYOUT.size);
        const get = (name: string): number => Number(read(EVENT_LAYOUT, name, record));
        const mask = get('reasons');
        const sourceAt = field(EVENT_LAYOUT, 'source').offset;
        return eventText({
          kind: EVENT_KINDS[get('kind')] ?? 'unknown',
          sourceHex: Buffer.from(record.subarray(sourceAt, sourceAt + 16)).toString('hex'),
          port: get('port'),
          reasons: REASONS.filter((_name, bit) => (mask >> bit) & 1),
          fastPorts: get('fast_ports'),
          slowPorts: get('slow_ports'),
          shunMs: get('shun_ms'),
          proven: get('proven') !== 0,
          verdict: VERDICTS[get('verdict')] ?? 'unknown',
        });
      });
    },
    remains: () => ({
      shuns: new Map(rowsOf('shuns').map(({ key, value }) => [key, decodeShun(value, layouts.hm_shun, startNs)])),
      trackers: new Map(
        ['trackers', 'watch'].flatMap(name => rowsOf(name).map(({ key, value }) => [`${name} ${key}`, trackedPorts(value, startNs, slowWindowNs)] as const)),
      ),
    }),
    drops(name) {
      const { count, values } = dump(name);
      const { valueSize } = sizeOf(name);
      return Array.from({ length: count }, (_, at) => read(layouts.hm_ban, 'drops', values.subarray(at * valueSize, (at + 1) * valueSize)));
    },
    counter: at => statsOf(BANKS.length * VERDICTS.length + at),
    close: () => ring.stop(),
  };
}

const key32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** What both sides must tell of an event; the ports' counts and the shun belong to some kinds only. */
export function eventText(event: {
  readonly kind: string;
  readonly sourceHex: string;
  readonly port: number;
  readonly reasons: readonly string[];
  readonly fastPorts: number;
  readonly slowPorts: number;
  readonly shunMs: number;
  readonly proven: boolean;
  readonly verdict: string;
}): string {
  const { kind, sourceHex, port, reasons, fastPorts, slowPorts, shunMs } = event;
  const ports = kind === 'touch' || kind === 'suspect' || kind === 'scan' ? ` port ${port}, ${fastPorts} fast, ${slowPorts} slow` : '';
  const shun = kind === 'scan' || kind === 'flood' ? ` for ${[...reasons].sort().join('+')}, shun ${shunMs} ms` : '';
  return `${kind} ${sourceHex}${ports}${shun}, ${event.proven ? 'proven, ' : ''}${event.verdict}`;
}
