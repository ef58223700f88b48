/**
 * The addon, with its arguments checked: the native side takes what it gets. What the kernel refuses comes back as a negative errno where a
 * caller decides by it, and as a HoneyMeshError where nobody can.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getSystemErrorMap } from 'node:util';
import { type ErrorCode, HoneyMeshBug, HoneyMeshError } from '../errors.ts';
import { PARTS } from '../launch/parts.ts';

/** Errno values that decisions hang on (the same on every architecture that Linux gives them). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  E2BIG: 7,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ENOLINK: 67,
  EOPNOTSUPP: 95,
  ENOTSUPP: 524,
} as const;

/** bpf_map_update_elem's flags (linux/bpf.h). */
export const UPDATE = { any: 0, onlyNew: 1, onlyExisting: 2 } as const;

/** BPF_MAP_TYPE_... that we use. */
export const MAP_TYPE = { hash: 1, array: 2, percpuArray: 6, lruHash: 9, lpmTrie: 11, sockmap: 15, ringbuf: 27 } as const;

/** XDP_FLAGS_..._MODE of a link (linux/if_link.h) and XDP_ATTACHED_... of a query. */
export const XDP_FLAGS = { auto: 0, generic: 2, native: 4 } as const;
export const XDP_ATTACHED = { none: 0, native: 1, generic: 2, hardware: 3, several: 4 } as const;

/** BPF_F_XDP_HAS_FRAGS: the program may see packets of several buffers (jumbo frames); it reads headers only. */
export const XDP_HAS_FRAGS = 1 << 5;
/** BPF_F_TEST_XDP_LIVE_FRAMES: what PROG_TEST_RUN passes or redirects really goes out. */
export const TEST_LIVE_FRAMES = 1 << 1;

export interface MapInfo {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly id: number;
}

export interface LoadedProgram {
  readonly name: string;
  readonly section: string;
  readonly type: number;
  readonly fd: number;
}

export interface ProgramInfo {
  readonly id: number;
  readonly type: number;
  /** At most 15 characters. */
  readonly name: string;
  readonly mapIds: readonly number[];
}

export interface StructLayout {
  readonly size: number;
  readonly fields: readonly { readonly name: string; readonly offset: number; readonly size: number }[];
}

export interface MapRows {
  readonly count: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
}

interface RunResult {
  readonly errno: number;
  readonly retval: number;
  readonly durationNs: number;
  readonly dataLength: number;
  readonly contextLength: number;
}

/** The traps' connections (native/connections.h), by number. */
export interface NativeConnections {
  /** WRITTEN */
  write(id: number, bytes: Uint8Array): number;
  /** CLOSED */
  close(id: number, lingerMs: number): number;
  pause(id: number): void;
  resume(id: number): void;
  count(): number;
  /** Accepted, told and closed at once since the process may have no more descriptors. */
  shed(): number;
  stop(): void;
}

/** The traps' UDP sockets (native/datagrams.cc). */
export interface NativeDatagrams {
  /** Answers that row of the batch that is being told. 0 or a negative errno. */
  reply(row: number, bytes: Uint8Array): number;
  stop(): void;
}

/** `lost`: the connection was there, and is reset now; no record tells it. */
export const WRITTEN = { sent: 0, waiting: 1, gone: 2, lost: 3 } as const;
/** `done`: no record tells it; `lingers`: one will. */
export const CLOSED = { notThere: 0, done: 1, lingers: 2 } as const;

/** The addon's functions as they are (enforcer/kernel/native/*.cc). */
export interface Addon {
  load(
    path: string,
    sizes: readonly (readonly [string, number])[],
    pins: readonly (readonly [string, string])[],
    xdpFlags: number,
  ): { readonly maps: Readonly<Record<string, number>>; readonly programs: readonly LoadedProgram[] } | { readonly errno: number; readonly log: string };
  objectMaps(path: string): readonly Omit<MapInfo, 'id'>[] | number;
  structLayout(path: string, struct: string): StructLayout | number;
  mapInfo(fd: number): MapInfo | number;
  mapLookup(fd: number, key: Uint8Array, value: Uint8Array): number;
  mapUpdate(fd: number, key: Uint8Array, value: Uint8Array, flags: number): number;
  mapDelete(fd: number, key: Uint8Array): number;
  mapNextKey(fd: number, key: Uint8Array | null, next: Uint8Array): number;
  mapLookupMany(fd: number, keys: Uint8Array, values: Uint8Array, keySize: number, valueSize: number, results: Int32Array): number;
  mapUpdateMany(fd: number, keys: Uint8Array, values: Uint8Array, keySize: number, valueSize: number, flags: number, results: Int32Array): number;
  mapDeleteMany(fd: number, keys: Uint8Array, keySize: number, results: Int32Array): number;
  mapDump(fd: number, keySize: number, valueSize: number, limit: number): MapRows | number;
  possibleCpus(): number;
  pin(fd: number, path: string): number;
  openPin(path: string): number;
  closeFd(fd: number): number;
  linkXdp(programFd: number, ifindex: number, flags: number): number;
  linkSockOps(programFd: number, cgroupFd: number): number;
  linkUpdate(linkFd: number, programFd: number): number;
  linkDetach(linkFd: number): number;
  interfaceIndex(name: string): number;
  linkInfo(linkFd: number): { readonly type: number; readonly id: number; readonly programId: number; readonly ifindex: number } | number;
  queryXdp(ifindex: number): { readonly programId: number; readonly mode: number } | number;
  programInfo(programFd: number): ProgramInfo | number;
  programById(id: number): ProgramInfo | number;
  makeClsact(ifindex: number): number;
  removeClsact(ifindex: number): number;
  attachTc(ifindex: number, egress: boolean, programFd: number, handle: number, priority: number): number;
  detachTc(ifindex: number, egress: boolean, handle: number, priority: number): number;
  queryTc(ifindex: number, egress: boolean, handle: number, priority: number): number;
  countFilters(ifindex: number, egress: boolean): number;
  testRun(
    programFd: number,
    data: Uint8Array,
    dataOut: Uint8Array | null,
    context: Uint8Array | null,
    contextOut: Uint8Array | null,
    repeat: number,
    flags: number,
    batchSize: number,
  ): RunResult;
  startRing(
    fds: readonly number[],
    buffer: Uint8Array,
    recordSize: number,
    onBatch: (count: number) => void,
  ): { readonly drain: () => number; readonly stop: () => void } | number;
  trapListener(ipv6: boolean, port: number, mark: number, backlog: number): { readonly fd: number; readonly port: number } | number;
  trapDatagrams(ipv6: boolean, port: number, mark: number, receiveBuffer: number): { readonly fd: number; readonly port: number } | number;
  putSocket(mapFd: number, key: number, socketFd: number): number;
  startConnections(fds: readonly number[], buffer: Uint8Array, largestUnsent: number, onBatch: (bytes: number) => void): NativeConnections | number;
  startDatagrams(fds: readonly number[], buffer: Uint8Array, onBatch: (count: number) => void): NativeDatagrams | number;
  netnsCookie(): bigint | number;
  raiseFileLimit(atLeast: number): number;
  setTurns(nanoseconds: number): number;
}

let loaded: Addon | undefined;

/** The addon, loaded once. HM_NOT_BUILT where it is not there or not for this machine. */
export function addon(): Addon {
  if (loaded !== undefined) return loaded;
  const fix = 'run "npm start", or "node enforcer/launch/setup/build.mjs" in the checkout';
  if (!existsSync(PARTS.addon)) throw new HoneyMeshError('HM_NOT_BUILT', `the native addon is not built (${PARTS.addon})`, { fix });
  try {
    loaded = createRequire(import.meta.url)(PARTS.addon) as Addon;
  } catch (cause) {
    throw new HoneyMeshError('HM_NOT_BUILT', `the native addon cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, {
      fix: `${fix}; it needs libbpf1 (apt-get install libbpf1)`,
      cause,
    });
  }
  return loaded;
}

/** `ENOENT: no such file or directory` for -2, as libuv words it. */
export function errnoText(result: number): string {
  const known = getSystemErrorMap().get(result);
  if (known !== undefined) return `${known[0]}: ${known[1]}`;
  return result === -ERRNO.ENOTSUPP ? 'ENOTSUPP: not supported' : `errno ${-result}`;
}

/** An error for what the kernel refused; a lack of privilege says so whatever `code` would have been. */
export function kernelError(code: ErrorCode, what: string, result: number, fix?: string): HoneyMeshError {
  if (result === -ERRNO.EPERM || result === -ERRNO.EACCES) {
    return new HoneyMeshError('HM_NOT_ROOT', `${what}: ${errnoText(result)}`, { fix: fix ?? 'run it as root' });
  }
  return new HoneyMeshError(code, `${what}: ${errnoText(result)}`, fix === undefined ? {} : { fix });
}

/** A descriptor or another number that must not be negative; else the error. */
export function mustBe(result: number, code: ErrorCode, what: string, fix?: string): number {
  if (result < 0) throw kernelError(code, what, result, fix);
  return result;
}

/** The value of a call that answers with a value or a negative errno. */
export function mustHave<T>(result: T | number, code: ErrorCode, what: string): T {
  if (typeof result === 'number') throw kernelError(code, what, result);
  return result;
}

/** Nothing wider than 64 kB goes through PROG_TEST_RUN; context and output are as the kernel wants them. */
const LONGEST_FRAME = 65_535;

export interface TestRunOptions {
  readonly repeat?: number;
  /** TEST_LIVE_FRAMES; then no output comes back. */
  readonly flags?: number;
  readonly batchSize?: number;
  /** XDP: as if it came in on this interface of the caller's network namespace. */
  readonly ingressIfindex?: number;
  /** Bytes of an __sk_buff for tc programs. */
  readonly context?: Uint8Array;
  readonly wantsData?: boolean;
}

export interface TestRun {
  /** What the program returned: XDP_DROP is 1, XDP_PASS 2; TC_ACT_OK 0, TC_ACT_SHOT 2. */
  readonly retval: number;
  /** Mean of the repeats. */
  readonly durationNs: number;
  readonly data: Uint8Array | null;
}

/** Runs a program on one frame. The kernel refuses frames below 14 bytes with EINVAL: HoneyMeshError HM_MAP says so. */
export function testRun(programFd: number, frame: Uint8Array, options: TestRunOptions = {}): TestRun {
  if (frame.length > LONGEST_FRAME) throw new HoneyMeshBug('a frame is too long for PROG_TEST_RUN', { length: frame.length });
  const out = options.wantsData === true ? new Uint8Array(LONGEST_FRAME) : null;
  const context = options.context ?? (options.ingressIfindex === undefined ? null : xdpContext(frame.length, options.ingressIfindex));
  const ran = addon().testRun(programFd, frame, out, context, null, options.repeat ?? 1, options.flags ?? 0, options.batchSize ?? 0);
  if (ran.errno < 0) throw kernelError('HM_MAP', `PROG_TEST_RUN of ${frame.length} bytes`, ran.errno);
  return { retval: ran.retval, durationNs: ran.durationNs, data: out === null ? null : out.subarray(0, ran.dataLength) };
}

/** struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. */
function xdpContext(length: number, ingressIfindex: number): Uint8Array {
  const context = new Uint32Array([0, length, 0, ingressIfindex, 0, 0]);
  return new Uint8Array(context.buffer);
}
