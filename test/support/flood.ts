/**
 * A flood of spoofed SYNs, sent as fast as it is told to by a process of its own in the attackers' namespace: `node flood.ts TASK`. The last line that it
 * says is the number of frames that left.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { indexKey, kernelMap } from '#enforcer/kernel/maps.ts';
import { addon, TEST_LIVE_FRAMES, testRun } from '#enforcer/kernel/native.ts';
import { buildBpf } from '#enforcer/launch/setup/build.mjs';
import { addressToBytes, syn, toShortest } from '#test/support/frames/frames.ts';
import type { Namespace } from '#test/support/namespaces.ts';

export interface FloodTask {
  /** SYNs in all. */
  readonly frames: number;
  readonly perSecond: number;
  readonly target: string;
  /** In whose name one of 4,096 is sent. */
  readonly framed: string;
  /** The first of so many neighbouring addresses that are banned: one of 32. */
  readonly banned: string;
  readonly bannedCount: number;
  /** The first of so many that come again and again, and thereby scan: one of 8. All the rest is from anywhere. */
  readonly scanners: string;
  readonly scannerCount: number;
  /** One of 16 SYNs each goes to these, the others to any port. */
  readonly servedPort: number;
  readonly trapPort: number;
}

const SOURCE = fileURLToPath(new URL('./flood.bpf.c', import.meta.url));
const SLICES_PER_SECOND = 50;
const BATCH = 64;
const DEVICE = 'eth0';

/** Sends it from `outside`, whose eth0 leads to the target. Resolves with the number of frames that left. */
export async function flood(outside: Namespace, task: FloodTask): Promise<number> {
  buildBpf({ source: SOURCE });
  const patienceMs = 60_000 + (2_000 * task.frames) / task.perSecond;
  const ran = await outside.run([process.execPath, fileURLToPath(import.meta.url), JSON.stringify(task)], { timeoutMs: patienceMs });
  return Number(ran.stdout.trim().split('\n').at(-1));
}

async function send(task: FloodTask): Promise<number> {
  const loaded = addon().load(buildBpf({ source: SOURCE }), [], [], 0);
  if ('errno' in loaded) throw new Error(`flood.bpf.c did not load (errno ${-loaded.errno})\n${loaded.log}`);
  const settings = kernelMap('flood', loaded.maps.flood ?? -1);
  settings.put(indexKey(0), encoded(task));
  const options = { flags: TEST_LIVE_FRAMES, ingressIfindex: addon().interfaceIndex(DEVICE), batchSize: BATCH };
  const frame = toShortest(syn('192.0.2.1', task.target, task.servedPort));
  const program = loaded.programs[0]?.fd ?? -1;
  const sent = (): number => Number(new DataView(settings.get(indexKey(0))?.buffer ?? new ArrayBuffer(32)).getBigUint64(24, true));
  for (const startedMs = performance.now(); sent() < task.frames; ) {
    const due = Math.min(task.frames, (task.perSecond * (performance.now() - startedMs)) / 1_000);
    const slice = Math.min(Math.ceil(task.perSecond / SLICES_PER_SECOND), Math.floor(due - sent()));
    if (slice >= 1) sendSlice(() => testRun(program, frame, { ...options, repeat: slice }));
    else await sleep(1_000 / SLICES_PER_SECOND / 4);
  }
  return sent();
}

/** A signal ends a run early; what did not leave leaves with the next slice. */
function sendSlice(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('EINTR'))) throw error;
  }
}

/** struct flood. */
function encoded(task: FloodTask): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  const number = (address: string): number => new DataView(addressToBytes(address).buffer).getUint32(0);
  for (const [at, value] of [number(task.framed), number(task.banned), task.bannedCount, number(task.scanners), task.scannerCount].entries()) {
    view.setUint32(at * 4, value, true);
  }
  view.setUint16(20, task.servedPort, true);
  view.setUint16(22, task.trapPort, true);
  return bytes;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await send(JSON.parse(process.argv[2] ?? '') as FloodTask));
