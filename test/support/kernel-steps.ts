/**
 * Runs the steps given as JSON on the command line, one after the other in this one process, and prints what each returned (or the error), as
 * a JSON array. For tests that need another network namespace, or fewer rights, than their own process has.
 */
import { spawnSync } from 'node:child_process';
import { chownSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { type AttachOptions, attachKernel, kernelAttachment, type LoadedKernel, type LoadOptions, loadKernel, unloadKernel } from '#enforcer/kernel/loader.ts';
import { addon } from '#enforcer/kernel/native.ts';
import { openPinnedKernel } from '#enforcer/kernel/pinned.ts';
import type { Kernel, KernelBan, KernelEvent } from '#enforcer/kernel/port.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { TEST_CONFIG } from '#test/support/kernel-config.ts';

export type Step =
  | ({ readonly do: 'load' } & Omit<LoadOptions, 'objectPath'>)
  | ({ readonly do: 'attach' } & AttachOptions)
  | { readonly do: 'repin' }
  | { readonly do: 'unload'; readonly pinDirectory: string }
  | { readonly do: 'attachment'; readonly pinDirectory: string; readonly stateFile?: string }
  | { readonly do: 'ban'; readonly pinDirectory: string; readonly bans: readonly KernelBan[] }
  | { readonly do: 'bans'; readonly pinDirectory: string }
  | { readonly do: 'own'; readonly pinDirectory: string; readonly addresses: readonly string[] }
  | { readonly do: 'exercise'; readonly pinDirectory: string; readonly probe?: readonly string[] }
  | { readonly do: 'become'; readonly uid: number }
  /** A command whose success is the result; for what must happen between two steps of one process. */
  | { readonly do: 'command'; readonly command: readonly string[] }
  /** Tries to make a map, which nobody without capabilities may. */
  | { readonly do: 'create-maps' };

export type StepResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly fix?: string };

const now = (): UnixMs => unixMs(Date.now());
let loaded: LoadedKernel | undefined;
let program: string = PARTS.program;

const on = <T>(pinDirectory: string, act: (kernel: Kernel) => T): T => {
  const kernel = openPinnedKernel({ pinDirectory }, { now });
  try {
    return act(kernel);
  } finally {
    kernel.close();
  }
};

const theLoaded = (): LoadedKernel => {
  if (loaded === undefined) throw new Error('nothing is loaded in this process');
  return loaded;
};

/** Everything that the daemon does with its pins, and the first event of a probe from outside. */
async function exercise(pinDirectory: string, probe: readonly string[] | undefined): Promise<unknown> {
  const kernel = openPinnedKernel({ pinDirectory }, { now });
  const stop = new AbortController();
  try {
    kernel.setConfig(TEST_CONFIG);
    const outcomes = [
      ...kernel.putBans([
        { target: '203.0.113.99/32' as never, tier: 'E1', reasons: ['trap-touch'], expiresAt: null },
        { target: '2001:db8:9::/64' as never, tier: 'E1', reasons: ['trap-touch'], expiresAt: unixMs(Date.now() - 1) },
        { target: '2001:db8:9:1::1/128' as never, tier: 'E1', reasons: ['trap-touch'], expiresAt: null },
      ]),
      ...kernel.setRules([{ action: 'allow', target: '192.0.2.0/24' as never, tier: 'operator', reasons: [], expiresAt: null }]),
    ];
    kernel.prove(['192.0.2.5' as never]);
    kernel.setServedPorts({ tcp: [443], udp: [] }, { tcp: [], udp: [] });
    kernel.setTrapPorts({ tcp: [22, 23], udp: [161] });
    kernel.pause(null);
    const swept = kernel.sweep(now());
    const event = probe === undefined ? null : await firstEvent(kernel, probe, stop.signal);
    const stats = kernel.stats();
    return {
      enforced: outcomes.map(outcome => outcome.enforced),
      swept,
      bans: kernel.listBans().length,
      rules: kernel.listRules().length,
      proven: kernel.listProven().length,
      shuns: kernel.listShuns().length,
      lost: stats.counters['events-lost'],
      event,
    };
  } finally {
    stop.abort();
    kernel.close();
  }
}

function firstEvent(kernel: Kernel, probe: readonly string[], signal: AbortSignal): Promise<KernelEvent | null> {
  return new Promise(resolve => {
    const deadline = setTimeout(() => resolve(null), 3_000);
    kernel.readEvents(events => {
      clearTimeout(deadline);
      resolve(events[0] ?? null);
    }, signal);
    const [program = '', ...args] = probe;
    spawnSync(program, args, { timeout: 2_000 });
  });
}

function take(step: Step): unknown {
  switch (step.do) {
    case 'load':
      loaded = loadKernel({ ...step, objectPath: PARTS.program });
      return { reused: loaded.reused, notes: loaded.notes };
    case 'attach':
      return attachKernel(theLoaded(), step);
    case 'repin':
      return theLoaded().repin();
    case 'unload':
      return unloadKernel(step);
    case 'attachment':
      return kernelAttachment(step);
    case 'ban':
      return on(step.pinDirectory, kernel => {
        kernel.setConfig(TEST_CONFIG);
        return kernel.putBans(step.bans);
      });
    case 'bans':
      return on(step.pinDirectory, kernel => kernel.listBans());
    case 'own':
      return on(step.pinDirectory, kernel => kernel.setOwnAddresses(step.addresses as never));
    case 'exercise':
      return exercise(step.pinDirectory, step.probe);
    case 'become':
      bringAlong(step.uid);
      process.setgroups?.([]);
      process.setgid?.(step.uid);
      process.setuid?.(step.uid);
      return { uid: process.geteuid?.() };
    case 'command': {
      const [program = '', ...args] = step.command;
      const ran = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
      if (ran.status !== 0) throw new Error(`${step.command.join(' ')}: ${ran.error?.message ?? ran.stderr}`);
      return ran.stdout;
    }
    case 'create-maps': {
      const made = addon().load(program, [], [], 0);
      return 'errno' in made ? made.errno : 'made';
    }
  }
}

/** Another user cannot read a checkout under /root: the addon is loaded before, and the program copied to where that user may read it. */
function bringAlong(uid: number): void {
  addon();
  const folder = mkdtempSync(join(tmpdir(), 'hmt-steps-'));
  program = join(folder, basename(PARTS.program));
  copyFileSync(PARTS.program, program);
  for (const path of [folder, program]) chownSync(path, uid, uid);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
}

const results: StepResult[] = [];
for (const step of JSON.parse(process.argv[2] ?? '[]') as readonly Step[]) {
  try {
    results.push({ ok: true, value: (await take(step)) ?? null });
  } catch (error) {
    const known = error instanceof HoneyMeshError ? { code: error.code, ...(error.fix === undefined ? {} : { fix: error.fix }) } : { code: 'unknown' };
    results.push({ ok: false, ...known, message: error instanceof Error ? error.message : String(error) });
  }
}
console.log(JSON.stringify(results));
