/** A guarded host and an attacker in namespaces of their own, and a pin folder that goes with them. Needs root. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ensureBpffs } from '#enforcer/kernel/checks.ts';
import { unloadKernel } from '#enforcer/kernel/loader.ts';
import { build, buildBpf } from '#enforcer/launch/setup/build.mjs';
import type { Step, StepResult } from './kernel-steps.ts';
import { createLab, type Lab, type Namespace } from './namespaces.ts';

const STEPS = fileURLToPath(new URL('./kernel-steps.ts', import.meta.url));

export const HOST = { v4: '10.77.0.1', v6: 'fd77::1' } as const;
export const ATTACKER = { v4: '10.77.0.2', v6: 'fd77::2' } as const;

export interface KernelLab {
  readonly lab: Lab;
  readonly host: Namespace;
  readonly attacker: Namespace;
  /** Below bpffs, not made yet. */
  readonly pins: string;
  /** Runs steps in one process on the host, all must succeed; returns their values. */
  run(...steps: readonly Step[]): Promise<readonly unknown[]>;
  /** The same with failures as values; `prefix` goes before node's command line (setpriv). */
  attempt(steps: readonly Step[], prefix?: readonly string[]): Promise<readonly StepResult[]>;
  /** How many of `count` pings of the attacker were answered. */
  pings(count: number, options?: { readonly v6?: boolean; readonly everyMs?: number }): Promise<number>;
  [Symbol.dispose](): void;
}

export function createKernelLab(): KernelLab {
  build();
  const lab = createLab();
  const host = lab.namespace('host');
  const attacker = lab.namespace('attacker');
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST.v4}/24`, `${HOST.v6}/64`] },
    { namespace: attacker, device: 'eth0', addresses: [`${ATTACKER.v4}/24`, `${ATTACKER.v6}/64`] },
  );
  const pins = `/sys/fs/bpf/honeymesh-test-${process.pid}/${randomBytes(3).toString('hex')}`;
  ensureBpffs(pins);

  const attempt = async (steps: readonly Step[], prefix: readonly string[] = []): Promise<readonly StepResult[]> => {
    const ran = await host.run([...prefix, process.execPath, STEPS, JSON.stringify(steps)], { mayFail: true });
    if (ran.code !== 0) throw new Error(`the steps ended with ${ran.code}\n${ran.stdout}${ran.stderr}`);
    return JSON.parse(ran.stdout) as readonly StepResult[];
  };

  return {
    lab,
    host,
    attacker,
    pins,
    attempt,
    async run(...steps) {
      const results = await attempt(steps);
      expect(results.filter(result => !result.ok)).toEqual([]);
      return results.map(result => (result.ok ? result.value : undefined));
    },
    async pings(count, { v6 = false, everyMs = 10 } = {}) {
      const ran = await attacker.run(['ping', '-n', '-q', '-c', String(count), '-i', String(everyMs / 1000), '-W', '0.3', v6 ? HOST.v6 : HOST.v4], {
        mayFail: true,
      });
      return Number(/(\d+) received/.exec(ran.stdout)?.[1] ?? -1);
    },
    [Symbol.dispose]() {
      lab.remove();
      unloadKernel({ pinDirectory: pins });
    },
  };
}

/** Somebody else's object file. */
export const buildForeign = (): string => buildBpf({ source: fileURLToPath(new URL('./foreign.bpf.c', import.meta.url)) });

/** A mounted cgroup2, or null. */
export function cgroup2(): string | null {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, path = '', type] = line.split(' ');
    if (type === 'cgroup2' && existsSync(path)) return path;
  }
  return null;
}
