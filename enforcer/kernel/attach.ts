/** Puts the loaded programs on interfaces and on the cgroup. Safe to repeat: what is attached already is swapped in place, without a gap. Needs root. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { HoneyMeshError } from '../errors.ts';
import { interfaceIndex } from './checks.ts';
import type { LoadedKernel } from './loader.ts';
import { addon, ERRNO, errnoText, kernelError, mustBe, mustHave, XDP_ATTACHED, XDP_FLAGS } from './native.ts';
import { linkName, linkPath, linksFolder, notedInterfaces, pinAt, SOCK_OPS, unpin } from './pins.ts';
import { attachFilters, detachFilters } from './tc-filters.ts';

export type XdpMode = 'auto' | 'native' | 'generic';

export interface AttachOptions {
  readonly interfaces: readonly { readonly name: string }[];
  readonly xdpMode: XdpMode;
  /** A folder of cgroup2, for `proven`; null: nobody becomes proven by a handshake. */
  readonly cgroupPath: string | null;
  /** An interface that is not there (yet): an error, or left out and said so. */
  readonly missing?: 'refuse' | 'skip';
  /** Where to note what was attached, for processes that may not open the links (kernelAttachment). */
  readonly stateFile?: string;
}

export interface AttachedInterface {
  readonly name: string;
  readonly xdp: 'native' | 'generic' | 'off';
  /** A program was there already and was replaced without a gap. */
  readonly swapped: boolean;
  /** Steering and the egress filter. */
  readonly tc: boolean;
  /** Why it is less than was asked for. */
  readonly why?: string;
}

export interface AttachReport {
  readonly interfaces: readonly AttachedInterface[];
  readonly sockOps: boolean;
  readonly sockOpsWhy?: string;
  /** Interfaces that are guarded no longer, because they were not named. */
  readonly detached: readonly string[];
}

/** Errors: HM_NO_INTERFACE, HM_XDP_BUSY (all interfaces are looked at before the first is touched), HM_XDP_ATTACH, HM_NOT_ROOT. */
export function attachKernel(loaded: LoadedKernel, options: AttachOptions): AttachReport {
  const { pinDirectory } = loaded;
  loaded.repin(); // a link that lost its pin would look like another's
  const programId = mustHave(addon().programInfo(loaded.programs.hm_xdp), 'HM_XDP_ATTACH', 'asking about the packet filter').id;
  const targets = options.interfaces.map(({ name }) => ({ name, ifindex: indexOf(name, options.missing ?? 'refuse') }));
  for (const { name, ifindex } of targets) if (ifindex !== null) refuseForeign(pinDirectory, name, ifindex);

  const interfaces = targets.map(({ name, ifindex }): AttachedInterface => {
    if (ifindex === null) return { name, xdp: 'off', swapped: false, tc: false, why: 'there is no such interface now' };
    const xdp = attachXdp(loaded, name, ifindex, options.xdpMode);
    const tcWhy = attachFilters(loaded, name, ifindex);
    const why = [xdp.why, tcWhy].filter(text => text !== undefined).join('; ');
    return { name, xdp: xdp.mode, swapped: xdp.swapped, tc: tcWhy === undefined, ...(why === '' ? {} : { why }) };
  });
  const detached = detachOthers(loaded, new Set(targets.map(target => target.name)));
  const sockOpsWhy = attachSockOps(loaded, options.cgroupPath);
  if (options.stateFile !== undefined) noteState(options.stateFile, targets, programId);
  return { interfaces, sockOps: sockOpsWhy === undefined, ...(sockOpsWhy === undefined ? {} : { sockOpsWhy }), detached };
}

function indexOf(name: string, missing: 'refuse' | 'skip'): number | null {
  if (missing === 'refuse') return interfaceIndex(name);
  const index = addon().interfaceIndex(name);
  return index > 0 ? index : null;
}

/** The link pinned for this interface, if it still holds there. The caller closes it, or keeps it. */
function ownLink(pinDirectory: string, name: string, ifindex: number): { readonly fd: number; readonly programId: number } | null {
  const fd = addon().openPin(linkPath(pinDirectory, 'xdp', name));
  if (fd < 0) return null;
  const info = addon().linkInfo(fd);
  if (typeof info !== 'number' && info.ifindex === ifindex) return { fd, programId: info.programId };
  addon().closeFd(fd);
  return null;
}

function refuseForeign(pinDirectory: string, name: string, ifindex: number): void {
  const there = mustHave(addon().queryXdp(ifindex), 'HM_XDP_ATTACH', `asking what is attached to ${name}`);
  if (there.programId === 0) return;
  const link = ownLink(pinDirectory, name, ifindex);
  if (link !== null) addon().closeFd(link.fd);
  if (link?.programId !== there.programId) throw busyError(name, there.programId);
}

function busyError(name: string, programId: number): HoneyMeshError {
  const program = addon().programById(programId);
  const called = typeof program === 'number' ? `with id ${programId}` : `"${program.name}" (id ${programId})`;
  const ours = typeof program !== 'number' && program.name === 'hm_xdp';
  return new HoneyMeshError('HM_XDP_BUSY', `${name} already carries the XDP program ${called}`, {
    fix: ours
      ? `another instance of HoneyMesh guards ${name}: "honeymesh unload --instance NAME" takes it off`
      : `stop what attached it, or set interfaces to another one; "ip link show ${name}" shows it`,
  });
}

interface Attached {
  readonly mode: 'native' | 'generic';
  readonly swapped: boolean;
  readonly why?: string;
}

function attachXdp(loaded: LoadedKernel, name: string, ifindex: number, wanted: XdpMode): Attached {
  const { pinDirectory, programs } = loaded;
  const path = linkPath(pinDirectory, 'xdp', name);
  const link = ownLink(pinDirectory, name, ifindex);
  if (link !== null) {
    const mode = modeOn(ifindex);
    if (wanted === 'auto' || wanted === mode) {
      mustBe(addon().linkUpdate(link.fd, programs.hm_xdp), 'HM_XDP_ATTACH', `replacing the packet filter on ${name}`);
      keep(loaded, linkName('xdp', name), link.fd);
      return { mode, swapped: true };
    }
    addon().linkDetach(link.fd); // one mode cannot become the other in place
    addon().closeFd(link.fd);
  }
  unpin(path); // of an interface that was there under this name before
  const { fd, mode, why } = linkInMode(programs.hm_xdp, name, ifindex, wanted);
  keep(loaded, linkName('xdp', name), fd);
  pinAt(path, fd);
  return { mode, swapped: false, ...(why === undefined ? {} : { why }) };
}

function linkInMode(
  programFd: number,
  name: string,
  ifindex: number,
  wanted: XdpMode,
): { readonly fd: number; readonly mode: 'native' | 'generic'; readonly why?: string } {
  const native = wanted === 'generic' ? -ERRNO.EOPNOTSUPP : addon().linkXdp(programFd, ifindex, XDP_FLAGS.native);
  if (native >= 0) return { fd: native, mode: 'native' };
  refuseBusy(native, name, ifindex);
  if (wanted === 'native') {
    throw kernelError('HM_XDP_ATTACH', `the driver of ${name} did not take the packet filter in native mode`, native, 'set xdp.mode to auto or generic');
  }
  const generic = addon().linkXdp(programFd, ifindex, XDP_FLAGS.generic);
  if (generic < 0) {
    refuseBusy(generic, name, ifindex);
    throw kernelError('HM_XDP_ATTACH', `attaching the packet filter to ${name}`, generic);
  }
  const why = wanted === 'auto' ? `its driver has no native XDP (${errnoText(native)}): generic mode, which costs more for each packet` : undefined;
  return { fd: generic, mode: 'generic', ...(why === undefined ? {} : { why }) };
}

/** Somebody was quicker than we after refuseForeign had looked. */
function refuseBusy(result: number, name: string, ifindex: number): void {
  if (result !== -ERRNO.EBUSY && result !== -ERRNO.EEXIST) return;
  const there = addon().queryXdp(ifindex);
  throw busyError(name, typeof there === 'number' ? 0 : there.programId);
}

function modeOn(ifindex: number): 'native' | 'generic' {
  const there = mustHave(addon().queryXdp(ifindex), 'HM_XDP_ATTACH', 'asking for the mode of the packet filter');
  return there.mode === XDP_ATTACHED.generic ? 'generic' : 'native';
}

/** Holds a descriptor in place of the one that was held under this name. */
function keep(loaded: LoadedKernel, name: string, fd: number): void {
  const old = loaded.links.get(name);
  loaded.links.set(name, fd);
  if (old !== undefined) addon().closeFd(old);
}

function detachOthers(loaded: LoadedKernel, named: ReadonlySet<string>): readonly string[] {
  const { pinDirectory } = loaded;
  const others = notedInterfaces(pinDirectory, 'xdp').filter(name => !named.has(name));
  for (const name of others) {
    const path = linkPath(pinDirectory, 'xdp', name);
    const fd = addon().openPin(path);
    if (fd >= 0) {
      addon().linkDetach(fd);
      addon().closeFd(fd);
    }
    const held = loaded.links.get(linkName('xdp', name));
    if (held !== undefined) addon().closeFd(held);
    loaded.links.delete(linkName('xdp', name));
    unpin(path);
    detachFilters(pinDirectory, name);
  }
  return others;
}

/** Returns why nobody becomes proven, or undefined where all is well. */
function attachSockOps(loaded: LoadedKernel, cgroupPath: string | null): string | undefined {
  const path = `${linksFolder(loaded.pinDirectory)}/${SOCK_OPS}`;
  const there = addon().openPin(path);
  if (there >= 0) {
    if (addon().linkUpdate(there, loaded.programs.hm_sockops) === 0) {
      keep(loaded, SOCK_OPS, there);
      return undefined;
    }
    addon().closeFd(there);
    unpin(path); // its cgroup is gone
  }
  if (cgroupPath === null || !existsSync(cgroupPath)) return 'no cgroup2 is mounted';
  const cgroup = openSync(cgroupPath, 'r');
  const fd = addon().linkSockOps(loaded.programs.hm_sockops, cgroup);
  closeSync(cgroup);
  if (fd < 0) return `the cgroup ${cgroupPath} did not take the program: ${errnoText(fd)}`;
  keep(loaded, SOCK_OPS, fd);
  pinAt(path, fd);
  return undefined;
}

function noteState(stateFile: string, targets: readonly { readonly name: string; readonly ifindex: number | null }[], programId: number): void {
  mkdirSync(stateFile.slice(0, stateFile.lastIndexOf('/')), { recursive: true, mode: 0o755 });
  writeFileSync(`${stateFile}.new`, `${JSON.stringify({ interfaces: targets.map(({ name }) => ({ name, programId })) })}\n`, { mode: 0o644 });
  renameSync(`${stateFile}.new`, stateFile);
}
