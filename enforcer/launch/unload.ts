/** `honeymesh unload`: takes everything of an instance off, with or without a running enforcer, and says what. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InstancePaths } from '../config/paths.ts';
import { HoneyMeshError } from '../errors.ts';
import { unloadKernel } from '../kernel/loader.ts';
import { attachmentFile } from './guard.ts';
import { forgetHome, homeElsewhere } from './home.ts';
import { requireRoot } from './host.ts';
import { lockOwner, processState } from './lock.ts';

const ENDS_WITHIN_MS = 15_000; // the daemon's grace and a little
const LOOK_MS = 50;

/** Stops a running enforcer of the instance, then takes the kernel part off. Returns what was done, in sentences; nothing where nothing was. */
export async function unload({ paths }: { readonly paths: InstancePaths }): Promise<readonly string[]> {
  requireRoot('honeymesh unload');
  const home = homeElsewhere(paths);
  return home === null ? [...(await stopRunning(paths)), ...takeOff(paths)] : unloadAt(home);
}

/** Runs this same command in the instance's own network namespace: only there its tc filters can be reached. */
function unloadAt(home: string): readonly string[] {
  const ran = spawnSync('nsenter', [`--net=${home}`, '--', process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    encoding: 'utf8',
    timeout: 2 * ENDS_WITHIN_MS,
  });
  if (ran.status === 0) return ran.stdout.split('\n').filter(line => line !== '');
  throw new HoneyMeshError('HM_MAP', `unloading in the network namespace ${home} failed: ${ran.error?.message ?? ran.stderr.trim()}`, {
    fix: `run it there: nsenter --net=${home} honeymesh unload`,
  });
}

/** Takes the kernel part off. Returns what was done, in sentences. */
export function takeOff(paths: InstancePaths): readonly string[] {
  const unloaded = unloadKernel({ pinDirectory: paths.pins });
  rmSync(attachmentFile(paths), { force: true });
  forgetHome(paths);
  if (unloaded === null) return [];
  const { interfaces, bans, shuns, left } = unloaded;
  const counts = [bans === null ? [] : [`${bans} ${bans === 1 ? 'ban' : 'bans'}`], shuns === null ? [] : [`${shuns} ${shuns === 1 ? 'shun' : 'shuns'}`]].flat();
  return [
    interfaces.length === 0 ? 'took off the packet filter, which guarded no interface' : `took the packet filter off ${interfaces.join(', ')}`,
    ...(counts.length === 0 ? [] : [`no longer enforced: ${counts.join(' and ')}; what was banned is in the event log and comes back with the next start`]),
    ...left,
  ];
}

async function stopRunning(paths: InstancePaths): Promise<readonly string[]> {
  const owner = lockOwner(paths.run);
  if (owner === undefined || owner.pid === process.pid) return [];
  process.kill(owner.pid, 'SIGTERM');
  for (const startedMs = performance.now(); performance.now() - startedMs < ENDS_WITHIN_MS; await sleep(LOOK_MS)) {
    if (processState(owner.pid)?.startTicks !== owner.startTicks) return [`ended the running enforcer (process ${owner.pid})`];
  }
  throw new HoneyMeshError('HM_ALREADY_RUNNING', `the running enforcer (process ${owner.pid}) does not end`, {
    fix: `end it by force and unload again: kill -9 ${owner.pid}`,
  });
}
