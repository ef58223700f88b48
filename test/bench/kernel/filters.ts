/**
 * The packet filters that are held against each other, each with the same 10,000 sources banned: ours as the enforcer loads it, xdp-filter's own
 * objects, and under them all a program that only drops.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { ensureBpffs } from '#enforcer/kernel/checks.ts';
import { indexKey, kernelMap } from '#enforcer/kernel/maps.ts';
import { addon, mustBe, mustHave, XDP_HAS_FRAGS } from '#enforcer/kernel/native.ts';
import type { KernelBan, KernelRule } from '#enforcer/kernel/port.ts';
import { buildBpf } from '#enforcer/launch/setup/build.mjs';
import { addressToBytes } from '#test/support/frames/frames.ts';
import { createKernelTester, type KernelTester } from '#test/support/kernel-tester.ts';

/** As in senders.bpf.c. */
export const SOURCES = 10_000;
const RULES = 100;
/** Networks for benchmarks (RFC 2544): the one banned, the other clean. */
export const bannedSource = (at: number): string => `198.18.${at >> 8}.${at & 255}`;
export const cleanSource = (at: number): string => `198.19.${at >> 8}.${at & 255}`;
/** The receiver's address, and that of the sender, in whose namespace the measuring process is. */
export const OWN = '10.77.0.1';
export const SENDER = '10.77.0.2';
export const SERVED_PORT = 443;
export const CLOSED_PORT = 23;

export interface Filter {
  readonly programFd: number;
  /** As loaded: a tail call goes only between programs that agree on it. */
  readonly frags: boolean;
}

export interface Filters {
  readonly tester: KernelTester;
  readonly ours: Filter;
  readonly floor: Filter;
  readonly ipOnly: Filter | null;
  readonly allFeatures: Filter | null;
  /** Calls the filter with the next of 10,000 sources in the frame's /16. */
  inTurn(filter: Filter): number;
  /** Sends live frames, each from the next source. */
  readonly senderFd: number;
  /** A pin of the program, which goes with the process. */
  pinned(filter: Filter): string;
  /** Bytes that the kernel holds for maps. */
  readonly memory: { readonly ours: number; readonly ipOnly: number | null; readonly allFeatures: number | null };
}

/** Loads and fills all of them. Needs root. Everything goes with the process. */
export function loadFilters(): Filters {
  const tester = createKernelTester({
    // The limits themselves are looked at for every packet, but must not be reached: a few measurements a second send more than any scanner does.
    config: { synPerSecond: 10_000_000, newSourcesPerSecond: 10_000_000, heartbeatMs: 3_600_000 },
  });
  fillOurs(tester);
  const senders = buildBpf({ source: fileURLToPath(new URL('../senders.bpf.c', import.meta.url)) });
  const [plain, withFrags] = [loadObject(senders, 0), loadObject(senders, XDP_HAS_FRAGS)];
  const folder = pinFolder();
  const [ipOnly, allFeatures] = [loadXdpFilter('xdpfilt_alw_ip', folder), loadXdpFilter('xdpfilt_alw_all', folder)];
  let pins = 0;

  return {
    tester,
    ours: { programFd: tester.programs.hm_xdp, frags: true },
    floor: { programFd: programOf(plain, 'bench_floor'), frags: false },
    ipOnly: ipOnly?.filter ?? null,
    allFeatures: allFeatures?.filter ?? null,
    inTurn(filter) {
      const wrapper = filter.frags ? withFrags : plain;
      const target = kernelMap('target', wrapper.maps.target ?? -1);
      mustBe(target.put(indexKey(0), indexKey(filter.programFd)), 'HM_MAP', 'putting a program behind the one that turns the sources');
      return programOf(wrapper, 'bench_in_turn');
    },
    senderFd: programOf(plain, 'bench_send'),
    pinned(filter) {
      const path = join(folder, `program-${pins++}`);
      mustBe(addon().pin(filter.programFd, path), 'HM_BPFFS', `pinning ${path}`);
      return path;
    },
    memory: {
      ours: bytesOf(Object.values(tester.maps).map(map => map.fd)),
      ipOnly: ipOnly === null ? null : bytesOf(ipOnly.mapFds),
      allFeatures: allFeatures === null ? null : bytesOf(allFeatures.mapFds),
    },
  };
}

type Loaded = Exclude<ReturnType<ReturnType<typeof addon>['load']>, { readonly errno: number }>;

function loadObject(path: string, flags: number, pins: readonly (readonly [string, string])[] = []): Loaded {
  const loaded = addon().load(path, [], pins, flags);
  if ('errno' in loaded) throw new Error(`${path} did not load (errno ${-loaded.errno})\n${loaded.log}`);
  return loaded;
}

function programOf(loaded: Loaded, name: string): number {
  const program = loaded.programs.find(each => each.name === name);
  if (program === undefined) throw new Error(`no program of the name ${name}`);
  return program.fd;
}

/** As a daemon leaves it: bans with an end, as all automatic ones have, the allow-list of a host, and rules that no source here matches. */
function fillOurs({ kernel }: KernelTester): void {
  const expiresAt = unixMs(Date.now() + 24 * 3_600_000);
  const bans = Array.from(
    { length: SOURCES },
    (_, at): KernelBan => ({ target: `${bannedSource(at)}/32` as Prefix, tier: 'E1', reasons: ['syn-scan'], expiresAt }),
  );
  const rule = (target: string, action: 'allow' | 'deny'): KernelRule => ({ target: target as Prefix, action, tier: 'operator', reasons: [], expiresAt: null });
  const allowed = [`${OWN}/32`, '10.77.0.254/32', '192.0.2.53/32', '198.51.100.53/32'].map(target => rule(target, 'allow'));
  const others = Array.from({ length: RULES }, (_, at) => rule(`172.${16 + (at % 16)}.${at}.0/24`, at % 2 === 0 ? 'allow' : 'deny'));
  const refused = [...kernel.putBans(bans), ...kernel.setRules([...allowed, ...others])].filter(outcome => !outcome.enforced);
  if (refused.length > 0) throw new Error(`${refused.length} bans and rules were not taken`);
  kernel.setOwnAddresses([OWN as Address, SENDER as Address]);
  kernel.setServedPorts({ tcp: [], udp: [] }, { tcp: [SERVED_PORT], udp: [] });
}

/** Where distributions put what xdp-tools brings. */
function xdpFilterObject(name: string): string | null {
  const libraries = existsSync('/usr/lib') ? readdirSync('/usr/lib').map(folder => `/usr/lib/${folder}/bpf`) : [];
  const found = [...libraries, '/usr/lib/bpf', '/usr/lib64/bpf', '/usr/local/lib/bpf'].map(folder => join(folder, `${name}.o`)).find(path => existsSync(path));
  return found ?? null;
}

const BY_SOURCE = 1; // MAP_FLAG_SRC of xdp-filter; the packet counter lies in the bits above

/** The object that `xdp-filter load` would take, with its map filled as `xdp-filter ip` does: which takes a process for each address. */
function loadXdpFilter(name: string, folder: string): { readonly filter: Filter; readonly mapFds: readonly number[] } | null {
  const path = xdpFilterObject(name);
  if (path === null) return null;
  const pins = join(folder, name); // its maps ask to be pinned; not where a running xdp-filter has its own
  mkdirSync(pins);
  const maps = mustHave(addon().objectMaps(path), 'HM_MAP', `reading ${path}`);
  const loaded = loadObject(
    path,
    0,
    maps.map(map => [map.name, join(pins, map.name)]),
  );
  const banned = kernelMap('filter_ipv4', loaded.maps.filter_ipv4 ?? -1);
  const value = new Uint8Array(banned.valueSize);
  for (let cpu = 0; cpu < value.length; cpu += 8) value[cpu] = BY_SOURCE;
  for (let at = 0; at < SOURCES; at++) mustBe(banned.put(addressToBytes(bannedSource(at)), value), 'HM_MAP', 'banning in xdp-filter');
  const [program] = loaded.programs;
  if (program === undefined) throw new Error(`${path} has no program`);
  return { filter: { programFd: program.fd, frags: false }, mapFds: Object.values(loaded.maps) };
}

/** A folder of this process on bpffs, removed at its end. */
function pinFolder(): string {
  const folder = `/sys/fs/bpf/honeymesh-bench-${process.pid}`;
  ensureBpffs(folder);
  mkdirSync(folder);
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The kernel's own account, in the map's fdinfo. */
function bytesOf(fds: readonly number[]): number {
  return fds.reduce((sum, fd) => sum + Number(/^memlock:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? 0), 0);
}
