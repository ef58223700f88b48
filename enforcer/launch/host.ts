/** What the host must offer before anything is loaded: folders, bpffs, cgroup2, and BPF closed to the unprivileged. Says what it changed. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { InstancePaths } from '../config/paths.ts';
import { HoneyMeshError } from '../errors.ts';
import { ensureBpffs, isBpffs } from '../kernel/checks.ts';
import { wordsOf } from './complaints.ts';
import { missingParts } from './parts.ts';

const COMMAND = [fileURLToPath(new URL('../bin/honeymesh', import.meta.url)), ...process.argv.slice(2)].join(' ');
const OWN_CGROUP2 = '/run/honeymesh/cgroup2';
const UNPRIVILEGED_BPF = '/proc/sys/kernel/unprivileged_bpf_disabled';
const MOUNT_MS = 10_000;

export function requireRoot(what: string): void {
  if (process.geteuid?.() !== 0)
    throw new HoneyMeshError('HM_NOT_ROOT', `"${what}" needs root`, { fix: `run it as root (where there is sudo: sudo ${COMMAND})` });
}

export function requireBuilt(): void {
  const missing = missingParts();
  if (missing.length > 0)
    throw new HoneyMeshError('HM_NOT_BUILT', `not built: ${missing.join(', ')}`, { fix: 'run "npm start" in the checkout: it builds what is missing' });
}

/**
 * The folders of an instance. Only root writes; the control socket has a mode of its own. A state folder that cannot be made or written (a disk that is
 * read-only, or full) is no reason not to enforce: the event log says what is wrong with it.
 */
export function prepareFolders(paths: InstancePaths): void {
  try {
    prepareFolder(dirname(paths.run), 0o755);
    prepareFolder(paths.run, 0o755);
  } catch (error) {
    throw new HoneyMeshError('HM_CONFIG', `the run directory ${paths.run} cannot be made: ${wordsOf(error)}`, {
      fix: `see to it that ${dirname(dirname(paths.run))} can be written ("ls -ld", "df", "mount | grep ro,")`,
      cause: error,
    });
  }
  try {
    prepareFolder(dirname(paths.state), 0o755);
    prepareFolder(paths.state, 0o700);
  } catch {
    // the store meets the same and complains of it
  }
}

/** Also one that is there already and may be older than this version. */
function prepareFolder(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode });
  if ((statSync(path).mode & 0o777) !== mode) chmodSync(path, mode);
}

export const bpffsMounted = (): boolean => isBpffs('/sys/fs/bpf');

/** Sees to it that bpffs is mounted where pins live. Returns what was done, for the operator. */
export function mountBpffs(pinDirectory: string): readonly string[] {
  if (isBpffs(pinDirectory)) return [];
  ensureBpffs(pinDirectory);
  const said = ['mounted the BPF file system on /sys/fs/bpf'];
  if (linkOf('/proc/self/ns/mnt') !== linkOf('/proc/1/ns/mnt'))
    said.push(
      'it is in a mount namespace of its own: other terminals will not see the pins ("nsenter --net=..." keeps the mounts, "ip netns exec" hides them)',
    );
  return said;
}

/** A cgroup2 root to watch sockets from: the one that is mounted, or one of our own (cgroup v1 hosts mount none). */
export function findCgroup2(): { readonly path: string; readonly said: readonly string[] } | { readonly path: null; readonly why: string } {
  const mounted = cgroup2Mount(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (mounted !== undefined) return { path: mounted, said: [] };
  try {
    mkdirSync(OWN_CGROUP2, { recursive: true, mode: 0o755 });
    mountCgroup2();
    return { path: OWN_CGROUP2, said: [`mounted cgroup2 on ${OWN_CGROUP2}`] };
  } catch (error) {
    return { path: null, why: error instanceof Error ? error.message : String(error) };
  }
}

/** Where cgroup2's root is mounted, by /proc/self/mountinfo (proc(5)); a mount of a part of the tree would miss sockets. */
export function cgroup2Mount(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const [, , , root, point] = (before ?? '').split(' ');
    if (after?.startsWith('cgroup2 ') && root === '/' && point !== undefined)
      return point.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  }
  return undefined;
}

/** Closes BPF to the unprivileged until the next boot: 1 is final, 2 may be undone, 0 is open. */
export function closeUnprivilegedBpf(): readonly string[] {
  const was = readOr(UNPRIVILEGED_BPF);
  if (was === '1' || was === '') return [];
  try {
    writeFileSync(UNPRIVILEGED_BPF, '1');
    return [`set kernel.unprivileged_bpf_disabled to 1 (it was ${was}); it stays until the next boot`];
  } catch {
    return [`could not set kernel.unprivileged_bpf_disabled to 1 (it is ${was})`];
  }
}

function mountCgroup2(): void {
  const ran = spawnSync('mount', ['-t', 'cgroup2', 'cgroup2', OWN_CGROUP2], { encoding: 'utf8', timeout: MOUNT_MS });
  if (ran.status !== 0) throw new Error(`cannot mount cgroup2 on ${OWN_CGROUP2}: ${ran.error?.message ?? ran.stderr.trim()}`);
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
