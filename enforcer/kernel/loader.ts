/**
 * Loads the packet filter: new maps, or those that an earlier run pinned (their bans go on dropping meanwhile), and programs that nothing is
 * attached to yet. attach.ts attaches them; in between the launcher writes the allow-list. Needs root.
 */
import { chmodSync, chownSync, existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { HoneyMeshBug, HoneyMeshError } from '../errors.ts';
import { checkMachine, ensureBpffs, type Machine, thisMachine } from './checks.ts';
import { layoutVersionOf, setFlag, stampConfig, stampGuard } from './codecs.ts';
import { CONFIG_FLAG, LAYOUT_VERSION, MAP_NAMES, type MapName } from './layouts.ts';
import { indexKey, joined, type KernelMap, kernelMap } from './maps.ts';
import { addon, kernelError, MAP_TYPE, type MapInfo, mustHave, XDP_HAS_FRAGS } from './native.ts';
import { layoutError } from './pinned.ts';
import { linksFolder, makeFolders, PROGRAM_NAMES, type ProgramName, pinAt, programsFolder, unpin } from './pins.ts';

export { type AttachedInterface, type AttachOptions, type AttachReport, attachKernel } from './attach.ts';
export { type InterfaceAttachment, kernelAttachment, type Unloaded, unloadKernel } from './unload.ts';

export interface LoadOptions {
  readonly objectPath: string;
  readonly pinDirectory: string;
  /** Room of hash maps and tries; the object's own where absent. A map that is pinned with more room keeps it, one with less is copied. */
  readonly mapSizes?: Partial<Record<MapName, number>>;
  /** Whom the map pins belong to: the daemon's user. Absent: root. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly machine?: Machine;
}

export interface LoadedKernel {
  readonly pinDirectory: string;
  readonly maps: Readonly<Record<MapName, number>>;
  readonly programs: Readonly<Record<ProgramName, number>>;
  /** Descriptors of links by their name in links/; attachKernel adds to it. Held, so that an unmounted bpffs detaches nothing. */
  readonly links: Map<string, number>;
  /** Maps of an earlier run were there and are used on. */
  readonly reused: boolean;
  /** What an operator should read: maps that were enlarged, or that are larger than asked. */
  readonly notes: readonly string[];
  /** Pins again what has lost its pin (bpffs was unmounted or emptied); returns the names of what was pinned. */
  repin(): readonly string[];
  /** Closes the descriptors; what is pinned lives on. */
  close(): void;
}

/** Maps whose entries may be copied into a larger one: they are found by key, and nothing points into them. */
const GROWS = new Set<number>([MAP_TYPE.hash, MAP_TYPE.lruHash, MAP_TYPE.lpmTrie]);

interface Plan {
  readonly sizes: readonly (readonly [MapName, number])[];
  readonly grown: readonly MapName[];
  /** Maps of which there is no pin yet. */
  readonly made: ReadonlySet<MapName>;
  readonly reused: boolean;
  readonly notes: readonly string[];
}

/** Errors: HM_NOT_ROOT, HM_KERNEL_TOO_OLD, HM_NO_BTF, HM_BPFFS, HM_NOT_BUILT, HM_LAYOUT, HM_BPF_LOAD (with the verifier's words). */
export function loadKernel(options: LoadOptions): LoadedKernel {
  const { objectPath, pinDirectory } = options;
  checkMachine(options.machine ?? thisMachine());
  if (!existsSync(objectPath)) {
    throw new HoneyMeshError('HM_NOT_BUILT', `the packet filter is not built (${objectPath})`, {
      fix: 'run "npm start", or "node enforcer/launch/setup/build.mjs" in the checkout',
    });
  }
  ensureBpffs(pinDirectory);
  const plan = planMaps(options);
  makeFolders(pinDirectory);
  const pathOf = (name: MapName): string => join(pinDirectory, plan.grown.includes(name) ? `${name}_grown` : name);
  for (const name of plan.grown) unpin(pathOf(name)); // of an attempt that did not get to its end
  const loaded = addon().load(
    objectPath,
    plan.sizes,
    MAP_NAMES.map(name => [name, pathOf(name)]),
    XDP_HAS_FRAGS,
  );
  if ('errno' in loaded) throw loadError(loaded.errno, loaded.log);
  const maps = pick(MAP_NAMES, loaded.maps);
  const programs = pick(PROGRAM_NAMES, Object.fromEntries(loaded.programs.map(program => [program.name, program.fd])));
  for (const [name, fd] of Object.entries(loaded.maps)) if (!(name in maps)) addon().closeFd(fd); // scratch maps: the programs hold them

  for (const name of plan.grown) moveInto(pinDirectory, name, maps[name]);
  const config = kernelMap('config', maps.config);
  const entry = config.get(indexKey(0)) ?? new Uint8Array(config.valueSize);
  stampConfig(entry, mustHave(addon().netnsCookie(), 'HM_BPF_LOAD', 'asking for the cookie of the network namespace'));
  if (plan.made.has('ban4_hint')) setFlag(entry, CONFIG_FLAG.hasBanHint, false); // it has no bit of what an earlier run banned
  config.put(indexKey(0), entry);
  // Only where both are new: a guard that comes to shuns of an earlier run does not know how long they last, and keeps saying nothing.
  if (plan.made.has('guard') && plan.made.has('shuns')) {
    const guard = kernelMap('guard', maps.guard);
    const none = new Uint8Array(guard.valueSize);
    stampGuard(none);
    guard.put(indexKey(0), none);
  }

  const pinPrograms = (): readonly string[] => PROGRAM_NAMES.filter(name => pinAt(join(programsFolder(pinDirectory), name), programs[name]));
  for (const name of PROGRAM_NAMES) unpin(join(programsFolder(pinDirectory), name));
  pinPrograms();
  giveTo(pinDirectory, options.owner);

  const links = new Map<string, number>();
  return {
    pinDirectory,
    maps,
    programs,
    links,
    reused: plan.reused,
    notes: plan.notes,
    repin() {
      ensureBpffs(pinDirectory);
      makeFolders(pinDirectory);
      const again: string[] = MAP_NAMES.filter(name => pinAt(join(pinDirectory, name), maps[name]));
      if (again.length > 0) giveTo(pinDirectory, options.owner);
      again.push(...pinPrograms());
      for (const [name, fd] of links) if (pinAt(join(linksFolder(pinDirectory), name), fd)) again.push(name);
      return again;
    },
    close() {
      for (const fd of [...Object.values(maps), ...Object.values(programs), ...links.values()]) addon().closeFd(fd);
      links.clear();
    },
  };
}

/** Compares what is pinned with what the object wants, before anything is changed. */
function planMaps({ objectPath, pinDirectory, mapSizes = {} }: LoadOptions): Plan {
  const wanted = mustHave(addon().objectMaps(objectPath), 'HM_BPF_LOAD', `reading ${objectPath}`);
  const sizes: (readonly [MapName, number])[] = [];
  const grown: MapName[] = [];
  const made = new Set<MapName>();
  const notes: string[] = [];
  let reused = false;
  checkVersion(pinDirectory);
  for (const name of MAP_NAMES) {
    const own = wanted.find(map => map.name === name);
    if (own === undefined) throw new HoneyMeshBug('the packet filter lacks a map', { name, objectPath });
    const size = mapSizes[name] ?? own.maxEntries;
    const pinned = pinnedInfo(pinDirectory, name);
    if (pinned !== null) reused = true;
    else made.add(name);
    if (pinned !== null) refuseOtherShape(pinDirectory, name, pinned, own);
    if (pinned === null || pinned.maxEntries === size) {
      if (size !== own.maxEntries) sizes.push([name, size]);
    } else if (!GROWS.has(pinned.type)) {
      throw layoutError(pinDirectory, `${name} has ${pinned.maxEntries} entries, this version has ${size}`);
    } else if (pinned.maxEntries > size) {
      sizes.push([name, pinned.maxEntries]);
      if (mapSizes[name] !== undefined)
        notes.push(`${name} keeps its room of ${pinned.maxEntries}, more than the ${size} asked for; "honeymesh unload" first makes it smaller`);
    } else {
      sizes.push([name, size]);
      grown.push(name);
      notes.push(`${name} was enlarged from ${pinned.maxEntries} to ${size}, with what it held`);
    }
  }
  return { sizes, grown, made, reused, notes };
}

/** Version 0: an earlier loader was killed before it was done; nothing was written into its maps yet. */
function checkVersion(pinDirectory: string): void {
  if (pinnedInfo(pinDirectory, 'config') === null) return;
  const map = kernelMap('config', addon().openPin(join(pinDirectory, 'config')));
  const entry = map.get(indexKey(0));
  map.close();
  const version = entry === null ? 0 : layoutVersionOf(entry);
  if (version !== 0 && version !== LAYOUT_VERSION) throw layoutError(pinDirectory, `they have layout version ${version}, this is version ${LAYOUT_VERSION}`);
}

function pinnedInfo(pinDirectory: string, name: MapName): MapInfo | null {
  const path = join(pinDirectory, name);
  if (!existsSync(path)) return null;
  const fd = addon().openPin(path);
  if (fd < 0) throw kernelError('HM_BPFFS', `opening ${path}`, fd);
  const info = addon().mapInfo(fd);
  addon().closeFd(fd);
  return mustHave<MapInfo>(info, 'HM_MAP', `asking about ${path}`);
}

function refuseOtherShape(pinDirectory: string, name: MapName, pinned: MapInfo, own: Omit<MapInfo, 'id'>): void {
  for (const [what, is, wanted] of [
    ['type', pinned.type, own.type],
    ['keys of so many bytes', pinned.keySize, own.keySize],
    ['values of so many bytes', pinned.valueSize, own.valueSize],
    ['flags', pinned.flags, own.flags],
  ] as const) {
    if (is !== wanted) throw layoutError(pinDirectory, `${name}: ${what} ${is}, this version has ${wanted}`);
  }
}

/** Copies what the old map holds into the new one, which takes over the name. The old programs use the old map until they are replaced. */
function moveInto(pinDirectory: string, name: MapName, fd: number): void {
  const path = join(pinDirectory, name);
  const old: KernelMap = kernelMap(name, addon().openPin(path));
  const rows = [...old.entries()];
  const results = kernelMap(name, fd).putMany(
    joined(
      rows.map(([key]) => key),
      old.keySize,
    ),
    joined(
      rows.map(([, value]) => value),
      old.valueSize,
    ),
  );
  old.close();
  const failed = results.find(result => result !== 0);
  if (failed !== undefined) {
    unpin(`${path}_grown`);
    throw kernelError('HM_MAP', `enlarging the map ${name}: the old one is left as it was`, failed);
  }
  renameSync(`${path}_grown`, path);
}

function giveTo(pinDirectory: string, owner: LoadOptions['owner']): void {
  for (const name of MAP_NAMES) {
    const path = join(pinDirectory, name);
    chmodSync(path, 0o600);
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
  }
}

function pick<Name extends string>(names: readonly Name[], found: Readonly<Record<string, number>>): Record<Name, number> {
  const picked = Object.fromEntries(names.map(name => [name, found[name] ?? -1])) as Record<Name, number>;
  for (const name of names) if (picked[name] < 0) throw new HoneyMeshBug('the packet filter lacks a part', { name });
  return picked;
}

function loadError(errno: number, log: string): HoneyMeshError {
  const words = log.trim().split('\n').slice(-25).join('\n');
  const error = kernelError('HM_BPF_LOAD', 'the kernel did not take the packet filter', errno);
  return error.code === 'HM_NOT_ROOT'
    ? error
    : new HoneyMeshError('HM_BPF_LOAD', `${error.message}\n${words}`, { fix: 'report it with these lines and the output of "uname -r"' });
}
