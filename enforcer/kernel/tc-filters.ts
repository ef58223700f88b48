/** Our two filters on an interface's clsact qdisc: steering on ingress, bans on egress. Replaced in place, taken off without touching another's. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadedKernel } from './loader.ts';
import { addon, errnoText } from './native.ts';
import { linkPath, unpin } from './pins.ts';

/** "HM": a fixed place, so that a filter of ours is found again by whoever comes next. */
const HANDLE = 0x484d;
const PRIORITY = 0x484d;

const DIRECTIONS = [
  { egress: false, program: 'hm_steer' },
  { egress: true, program: 'hm_egress' },
] as const;

/** Returns why the filters are not there, or undefined where they are: XDP protects without them, the caller says what is missing. */
export function attachFilters(loaded: LoadedKernel, name: string, ifindex: number): string | undefined {
  const made = addon().makeClsact(ifindex);
  if (made < 0) return `no clsact qdisc on ${name}: ${errnoText(made)}`;
  note(loaded.pinDirectory, 'tc', name);
  if (made === 1) note(loaded.pinDirectory, 'clsact', name);
  for (const { egress, program } of DIRECTIONS) {
    const stranger = strangerAt(ifindex, egress);
    if (stranger !== undefined) return `the place of our filter on ${name} is taken by "${stranger}"`;
    const result = addon().attachTc(ifindex, egress, loaded.programs[program], HANDLE, PRIORITY);
    if (result < 0) return `no ${egress ? 'egress' : 'ingress'} filter on ${name}: ${errnoText(result)}`;
  }
  return undefined;
}

/** Takes our filters off, and the qdisc if we made it and nobody else uses it. Returns what could not be done. */
export function detachFilters(pinDirectory: string, name: string): string | undefined {
  const ifindex = addon().interfaceIndex(name);
  let left: string | undefined;
  if (ifindex > 0) {
    for (const { egress } of DIRECTIONS) {
      const there = addon().queryTc(ifindex, egress, HANDLE, PRIORITY);
      if (there <= 0 || !isOurs(pinDirectory, there)) continue;
      const result = addon().detachTc(ifindex, egress, HANDLE, PRIORITY);
      if (result < 0) left = `the ${egress ? 'egress' : 'ingress'} filter on ${name} stays: ${errnoText(result)}`;
    }
    const clsactIsOurs = existsSync(linkPath(pinDirectory, 'clsact', name));
    if (left === undefined && clsactIsOurs && addon().countFilters(ifindex, false) === 0 && addon().countFilters(ifindex, true) === 0)
      addon().removeClsact(ifindex);
  } else {
    left = `${name} is not in this network namespace: if it is in another, its tc filters stay there`;
  }
  unpin(linkPath(pinDirectory, 'tc', name));
  unpin(linkPath(pinDirectory, 'clsact', name));
  return left;
}

/** Two instances may guard interfaces of one name in different network namespaces: ours is the program that works on our maps. */
function isOurs(pinDirectory: string, programId: number): boolean {
  const fd = addon().openPin(join(pinDirectory, 'config'));
  if (fd < 0) return false;
  const map = addon().mapInfo(fd);
  addon().closeFd(fd);
  const program = addon().programById(programId);
  return typeof map !== 'number' && typeof program !== 'number' && program.mapIds.includes(map.id);
}

function strangerAt(ifindex: number, egress: boolean): string | undefined {
  const id = addon().queryTc(ifindex, egress, HANDLE, PRIORITY);
  const name = id > 0 ? programNameOf(id) : undefined;
  return name === undefined || name.startsWith('hm_') ? undefined : name;
}

function programNameOf(id: number): string | undefined {
  const program = addon().programById(id);
  return typeof program === 'number' ? undefined : program.name;
}

function note(pinDirectory: string, kind: 'tc' | 'clsact', name: string): void {
  mkdirSync(linkPath(pinDirectory, kind, name), { recursive: true, mode: 0o700 });
}
