/** Takes everything of an instance off again, and tells what is attached. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LAYOUTS, type MapName, RULE_ACTION } from './layouts.ts';
import { indexKey, kernelMap } from './maps.ts';
import { addon, ERRNO, errnoText, kernelError, XDP_ATTACHED } from './native.ts';
import { linkPath, linksFolder, namesIn, notedInterfaces, programsFolder, removeFolder, SOCK_OPS, unpin } from './pins.ts';
import { detachFilters } from './tc-filters.ts';

export interface Unloaded {
  /** Interfaces that were guarded until now. */
  readonly interfaces: readonly string[];
  /** Bans and shuns that were enforced until now, expired ones too; null where the maps could not be read. */
  readonly bans: number | null;
  readonly shuns: number | null;
  /** What could not be taken off, as sentences. */
  readonly left: readonly string[];
}

/** Returns null where nothing of this instance is loaded. Works while a launcher still holds the links. Needs root. */
export function unloadKernel({ pinDirectory }: { readonly pinDirectory: string }): Unloaded | null {
  if (!existsSync(pinDirectory)) return null;
  const left: string[] = [];
  const bans = sum([...BAN_MAPS.map(name => countOf(pinDirectory, name)), ...RULE_MAPS.map(name => countOf(pinDirectory, name, isDeny))]);
  const shuns = countOf(pinDirectory, 'shuns');
  silence(pinDirectory);
  const interfaces = notedInterfaces(pinDirectory, 'xdp');
  for (const name of interfaces) left.push(...detachLink(linkPath(pinDirectory, 'xdp', name), `the packet filter on ${name}`));
  for (const name of notedInterfaces(pinDirectory, 'tc')) {
    const why = detachFilters(pinDirectory, name);
    if (why !== undefined) left.push(why);
  }
  left.push(...detachLink(join(linksFolder(pinDirectory), SOCK_OPS), 'the program on the cgroup'));
  for (const folder of [linksFolder(pinDirectory), programsFolder(pinDirectory), pinDirectory]) {
    for (const name of namesIn(folder)) if (folder !== pinDirectory || !['links', 'programs'].includes(name)) unpin(join(folder, name));
    if (!removeFolder(folder)) left.push(`${folder} is not empty`);
  }
  removeFolder(dirname(pinDirectory)); // the folder of all instances, after the last one
  return { interfaces, bans, shuns, left };
}

/** A filter that cannot be reached from here would go on with maps that nobody sees any more: without a configuration it does nothing. */
function silence(pinDirectory: string): void {
  const fd = addon().openPin(join(pinDirectory, 'config'));
  if (fd < 0) return;
  const map = kernelMap('config', fd);
  map.put(indexKey(0), new Uint8Array(map.valueSize));
  map.close();
}

function detachLink(path: string, what: string): readonly string[] {
  const fd = addon().openPin(path);
  if (fd === -ERRNO.ENOENT) return [];
  if (fd < 0) throw kernelError('HM_BPFFS', `opening ${path}`, fd);
  const result = addon().linkDetach(fd); // a launcher that holds the link must not keep it on
  addon().closeFd(fd);
  unpin(path);
  return result === 0 || result === -ERRNO.ENODEV || result === -ERRNO.ENOLINK ? [] : [`${what} may stay on: ${errnoText(result)}`];
}

const BAN_MAPS = ['ban4', 'ban6', 'ban6x'] as const;
const RULE_MAPS = ['pfx4', 'pfx6'] as const;
const isDeny = (rule: Uint8Array): boolean => rule[LAYOUTS.hm_rule.fields.action[0]] === RULE_ACTION.deny;

const sum = (counts: readonly (number | null)[]): number | null => counts.reduce((all, count) => (all === null || count === null ? null : all + count), 0);

function countOf(pinDirectory: string, name: MapName, counts: (value: Uint8Array) => boolean = () => true): number | null {
  const fd = addon().openPin(join(pinDirectory, name));
  if (fd < 0) return null;
  const map = kernelMap(name, fd);
  let count = 0;
  for (const [, value] of map.entries()) if (counts(value)) count++;
  map.close();
  return count;
}

export interface InterfaceAttachment {
  readonly name: string;
  readonly xdp: 'native' | 'generic' | 'off';
}

/**
 * What is attached now, asked of the kernel. Without capabilities the links cannot be opened, unless the process is uid 0: then the launcher's
 * note says which program to look for (`stateFile` of attachKernel).
 */
export function kernelAttachment({ pinDirectory, stateFile }: { readonly pinDirectory: string; readonly stateFile?: string }): readonly InterfaceAttachment[] {
  const noted = readState(stateFile);
  const names = new Set([...noted.keys(), ...notedInterfaces(pinDirectory, 'xdp')]);
  return [...names].map(name => ({ name, xdp: modeOf(name, programOf(pinDirectory, name) ?? noted.get(name) ?? 0) }));
}

function programOf(pinDirectory: string, name: string): number | undefined {
  const fd = addon().openPin(linkPath(pinDirectory, 'xdp', name));
  if (fd === -ERRNO.ENOENT) return 0; // unpinned: unload was here, or bpffs is gone
  if (fd < 0) return undefined;
  const info = addon().linkInfo(fd);
  addon().closeFd(fd);
  return typeof info === 'number' ? undefined : info.ifindex === 0 ? 0 : info.programId;
}

function modeOf(name: string, programId: number): InterfaceAttachment['xdp'] {
  const ifindex = addon().interfaceIndex(name);
  if (ifindex <= 0 || programId === 0) return 'off';
  const there = addon().queryXdp(ifindex);
  if (typeof there === 'number' || there.programId !== programId) return 'off';
  return there.mode === XDP_ATTACHED.generic ? 'generic' : 'native';
}

/** The launcher's own file: root's, in the run directory. */
function readState(stateFile: string | undefined): ReadonlyMap<string, number> {
  if (stateFile === undefined || !existsSync(stateFile)) return new Map();
  try {
    const state = JSON.parse(readFileSync(stateFile, 'utf8')) as { interfaces: readonly { name: string; programId: number }[] };
    return new Map(state.interfaces.map(({ name, programId }) => [name, programId]));
  } catch {
    return new Map(); // half of a file of a machine that lost power: the links say more
  }
}
