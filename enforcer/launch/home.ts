/** The network namespace that an instance guards: who unloads it from another one must not leave its tc filters behind. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InstancePaths } from '../config/paths.ts';

const HERE = '/proc/self/ns/net';
const NAMED = '/run/netns';

const homeFile = (paths: InstancePaths): string => join(paths.run, 'netns');

/** Notes the namespace of this process as the instance's. */
export function noteHome(paths: InstancePaths): void {
  writeFileSync(homeFile(paths), `${idOf(HERE)}\n`, { mode: 0o644 });
}

export function forgetHome(paths: InstancePaths): void {
  rmSync(homeFile(paths), { force: true });
}

/** A path by which the instance's namespace can be entered, where it is another one than this; null where it is this one, unknown, or gone. */
export function homeElsewhere(paths: InstancePaths): string | null {
  const home = readOr(homeFile(paths)).trim();
  if (home === '' || home === idOf(HERE)) return null;
  const named = namesIn(NAMED).map(name => join(NAMED, name));
  const ofProcesses = namesIn('/proc').flatMap(name => (/^\d+$/.test(name) ? [`/proc/${name}/ns/net`] : []));
  return [...named, ...ofProcesses].find(path => idOf(path) === home) ?? null;
}

/** Device and inode: what the kernel tells namespaces apart by (namespaces(7)). */
function idOf(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return '';
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
