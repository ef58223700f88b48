/** What the machine must have before anything is loaded. Each check throws the error that says how to mend it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { nearest } from '../config/nearest.ts';
import { HoneyMeshError } from '../errors.ts';
import { addon } from './native.ts';

/** 5.19: from here on a process without capabilities may work on pinned maps, which is all that the daemon does. */
export const OLDEST_KERNEL = [5, 19] as const;
const BPFFS = '/sys/fs/bpf';
const BPF_FS_MAGIC = 0xcafe4a11;

export interface Machine {
  /** As `uname -r` has it. */
  readonly release: string;
  readonly btfPath: string;
  readonly uid: number;
}

export const thisMachine = (): Machine => ({ release: release(), btfPath: '/sys/kernel/btf/vmlinux', uid: process.geteuid?.() ?? -1 });

export function checkMachine(machine: Machine): void {
  if (machine.uid !== 0) {
    throw new HoneyMeshError('HM_NOT_ROOT', 'loading the packet filter needs root', { fix: 'run it as root, or through sudo' });
  }
  checkKernelRelease(machine.release);
  if (!existsSync(machine.btfPath)) {
    throw new HoneyMeshError('HM_NO_BTF', `the kernel has no type information (${machine.btfPath} is missing)`, {
      fix: 'boot a kernel that was built with CONFIG_DEBUG_INFO_BTF=y: those of Debian 11 and Ubuntu 20.10 and later are',
    });
  }
}

export function checkKernelRelease(text: string): void {
  const match = /^(\d+)\.(\d+)/.exec(text);
  const [major, minor] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
  if (major > OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor >= OLDEST_KERNEL[1])) return;
  throw new HoneyMeshError('HM_KERNEL_TOO_OLD', `the kernel is ${text}; ${OLDEST_KERNEL.join('.')} is the oldest that will do`, {
    fix: 'boot a newer kernel (Debian 12 has 6.1, Ubuntu 22.04 has 5.19 and 6.x as linux-generic-hwe-22.04)',
  });
}

/** Sees to it that `pinDirectory` lies in a BPF file system; mounts the usual one where it is only not mounted. */
export function ensureBpffs(pinDirectory: string): void {
  if (isBpffs(pinDirectory)) return;
  if (pinDirectory.startsWith(`${BPFFS}/`) && existsSync(BPFFS)) {
    const ran = spawnSync('mount', ['-t', 'bpf', 'bpf', BPFFS], { encoding: 'utf8', timeout: 10_000 });
    if (isBpffs(pinDirectory)) return;
    throw bpffsError(pinDirectory, (ran.error?.message ?? ran.stderr.trim()) || 'mounted, but not to be seen from here');
  }
  throw bpffsError(pinDirectory, 'no BPF file system is mounted there');
}

/** Whether a path, or the nearest folder above it that exists, lies in a BPF file system. */
export function isBpffs(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if (existsSync(at)) return statfsSync(at).type === BPF_FS_MAGIC;
    if (at === dirname(at)) return false;
  }
}

const bpffsError = (pinDirectory: string, why: string): HoneyMeshError =>
  new HoneyMeshError('HM_BPFFS', `${pinDirectory} cannot hold pins: ${why}`, { fix: `mount it: mount -t bpf bpf ${BPFFS}` });

/** Interfaces of this process's network namespace. (/sys/class/net shows those of the namespace that mounted /sys.) */
export function interfaceNames(): readonly string[] {
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2);
  return lines.map(line => line.slice(0, line.indexOf(':')).trim()).filter(name => name !== '');
}

/** The index of an interface; HM_NO_INTERFACE with the nearest name that exists. */
export function interfaceIndex(name: string): number {
  const index = addon().interfaceIndex(name);
  if (index > 0) return index;
  const known = interfaceNames();
  const near = nearest(name, known);
  throw new HoneyMeshError('HM_NO_INTERFACE', `there is no network interface ${name}${near === undefined ? '' : `: did you mean ${near}?`}`, {
    fix: known.length === 0 ? 'this network namespace has no interface at all' : `set "interfaces" to one of: ${known.join(', ')}`,
  });
}
