/**
 * An instance's folder in bpffs: the maps by their names (the daemon's), `programs/` and `links/` (root's). In links/ a pin is a link, an empty
 * folder a note: `tc_NAME` says that our filters hang on that interface, `clsact_NAME` that its clsact qdisc was made by us.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { kernelError, addon as native } from './native.ts';

export const PROGRAM_NAMES = ['hm_xdp', 'hm_steer', 'hm_egress', 'hm_sockops'] as const;
export type ProgramName = (typeof PROGRAM_NAMES)[number];

/** What a name in links/ is about. */
export type LinkKind = 'xdp' | 'tc' | 'clsact';
export const SOCK_OPS = 'sock_ops';

export const programsFolder = (pinDirectory: string): string => join(pinDirectory, 'programs');
export const linksFolder = (pinDirectory: string): string => join(pinDirectory, 'links');

/** bpffs refuses dots in names; interfaces have them (eth0.5). */
export const linkName = (kind: LinkKind, interfaceName: string): string =>
  `${kind}_${interfaceName.replace(/[%./]/g, char => `%${char.charCodeAt(0).toString(16)}`)}`;
export const linkPath = (pinDirectory: string, kind: LinkKind, interfaceName: string): string => join(linksFolder(pinDirectory), linkName(kind, interfaceName));

/** The interfaces that something of ours is noted for, by kind. */
export function notedInterfaces(pinDirectory: string, kind: LinkKind): readonly string[] {
  return namesIn(linksFolder(pinDirectory))
    .filter(name => name.startsWith(`${kind}_`))
    .map(name => name.slice(kind.length + 1).replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));
}

export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // not there
  }
}

export function makeFolders(pinDirectory: string): void {
  for (const folder of [pinDirectory, programsFolder(pinDirectory), linksFolder(pinDirectory)]) mkdirSync(folder, { recursive: true, mode: 0o755 });
}

/** Pins a descriptor where nothing is pinned yet; returns whether it had to. */
export function pinAt(path: string, fd: number): boolean {
  if (existsSync(path)) return false;
  const result = native().pin(fd, path);
  if (result !== 0) throw kernelError('HM_BPFFS', `pinning ${path}`, result);
  return true;
}

/** Removes a pin or a note; what is not there is fine. */
export function unpin(path: string): void {
  removeUnless(() => unlinkSync(path), 'EISDIR', 'EPERM') || removeUnless(() => rmdirSync(path));
}

function removeUnless(remove: () => void, ...isFolder: readonly string[]): boolean {
  try {
    remove();
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT') return true;
    if (isFolder.includes(code)) return false;
    throw error;
  }
}

/** Removes a folder if it is there; false where it is not empty. */
export function removeFolder(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
