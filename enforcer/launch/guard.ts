/** The kernel part as the launcher holds it: loaded, primed, attached, and put back where somebody took a piece of it away. */
import { join } from 'node:path';
import type { InstancePaths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { isBpffs } from '../kernel/checks.ts';
import { type AttachReport, attachKernel, kernelAttachment, type LoadedKernel, loadKernel } from '../kernel/loader.ts';
import { type Complaints, wordsOf } from './complaints.ts';
import type { InterfaceState } from './messages.ts';
import { PARTS } from './parts.ts';

export interface Guard {
  readonly loaded: LoadedKernel;
  /** Attaches to all interfaces for the first time; what fails here is the operator's to know before anything else. */
  attach(): readonly InterfaceState[];
  /** Looks whether all is as it was attached, mends what is not, complains of what cannot be mended. Cheap: some system calls an interface. */
  look(): readonly InterfaceState[];
}

export interface GuardOptions {
  readonly config: Config;
  readonly paths: InstancePaths;
  readonly interfaces: readonly string[];
  /** null: none is mounted, `cgroupWhy` says why. */
  readonly cgroupPath: string | null;
}

/** The launcher's note of what it attached, for processes that may not open links. */
export const attachmentFile = (paths: InstancePaths): string => join(paths.run, 'attached.json');

/** Seconds between two full attachments, which also replace tc filters that somebody removed. Each is a swap in place, without a gap. */
const FULL_EVERY_LOOKS = 60;

export function loadGuard(options: GuardOptions, complaints: Complaints): Guard {
  const { config, paths, interfaces } = options;
  const capacity = config.bans.capacity;
  const loaded = loadKernel({ objectPath: PARTS.program, pinDirectory: paths.pins, mapSizes: { ban4: capacity, ban6: capacity } });
  const wanted = interfaces.map(name => ({ name }));
  let looks = 0;

  function attach(missing: 'refuse' | 'skip'): readonly InterfaceState[] {
    const report = attachKernel(loaded, {
      interfaces: wanted,
      xdpMode: config.xdp.mode,
      cgroupPath: options.cgroupPath,
      missing,
      stateFile: attachmentFile(paths),
    });
    complain(report, complaints);
    return report.interfaces.map(({ name, xdp }) => ({ name, xdp }));
  }

  /** Pins that are gone do not end enforcement while we hold the descriptors; they would with our end. */
  function mendPins(): void {
    try {
      const lost = !isBpffs(paths.pins);
      const again = loaded.repin();
      if (again.length > 0)
        complaints.raise(
          'kernel',
          'pins',
          `${lost ? 'bpffs was unmounted' : 'pins were removed'}; pinned again: ${again.join(', ')}`,
          'find out what removed them: without pins a crash of the launcher would end enforcement',
        );
      else complaints.clear('kernel', 'pins');
    } catch (error) {
      complaints.raise('kernel', 'pins', `the pins are gone and cannot be made again: ${wordsOf(error)}`, 'mount -t bpf bpf /sys/fs/bpf');
    }
  }

  return {
    loaded,
    attach: () => attach('refuse'),
    look() {
      mendPins();
      const known = new Map(kernelAttachment({ pinDirectory: paths.pins }).map(({ name, xdp }) => [name, xdp]));
      const now = interfaces.map((name): InterfaceState => ({ name, xdp: known.get(name) ?? 'off' }));
      looks++;
      if (looks % FULL_EVERY_LOOKS !== 0 && now.every(({ xdp }) => xdp !== 'off')) return now;
      try {
        return attach('skip');
      } catch (error) {
        complaints.raise(
          'kernel',
          'attach',
          `the packet filter could not be attached again: ${wordsOf(error)}`,
          '"honeymesh doctor" says what is in the way; it is tried again each second',
        );
        return now;
      }
    },
  };
}

function complain(report: AttachReport, complaints: Complaints): void {
  complaints.clear('kernel', 'attach');
  for (const { name, xdp, tc, why } of report.interfaces) {
    if (xdp === 'off')
      complaints.raise('kernel', `xdp ${name}`, `${name} is not guarded: ${why ?? 'it is not attached'}`, `it is attached again as soon as ${name} is there`);
    else complaints.clear('kernel', `xdp ${name}`);
    if (xdp !== 'off' && !tc)
      complaints.raise(
        'kernel',
        `tc ${name}`,
        `traps and egress are off on ${name}: ${why ?? 'no tc filter'}`,
        `"tc filter show dev ${name} ingress" shows what is there`,
      );
    else complaints.clear('kernel', `tc ${name}`);
  }
  if (report.sockOps) complaints.clear('kernel', 'proven');
  else
    complaints.raise(
      'kernel',
      'proven',
      `regular clients are not told from scanners: ${report.sockOpsWhy ?? ''}`,
      'mount cgroup2 (mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified) and start again',
    );
}
