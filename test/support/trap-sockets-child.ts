/** A process of its own for what tests of the traps' sockets must not do to theirs: run out of descriptors, be measured, end. `node FILE short|idle|end [COUNT]` */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { isMainThread, Worker } from 'node:worker_threads';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { openTrapDatagrams } from '#enforcer/launch/listeners.ts';
import { createTrapDatagrams } from '#enforcer/traps/server/datagrams.ts';
import type { SocketEvents } from '#enforcer/traps/server/socket-port.ts';
import { createTrapSockets } from '#enforcer/traps/server/sockets.ts';

const [, , what, count = '0'] = process.argv;
const wanted = Number(count);
const { fd, port } = mustHave(addon().trapListener(false, 0, 0, 4_096), 'HM_TRAP_LISTEN', 'child');
const sockets = createTrapSockets();
const nothing: SocketEvents = { accepted() {}, received() {}, finished() {}, drained() {}, gone() {}, settled() {} };
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const residentKb = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

/** Tells how many came, how many it had room for, how often the loop turned while it was full, and whether it recovered. */
function short(): void {
  let accepted = 0;
  const gone: string[] = [];
  const kept: number[] = [];
  sockets.start([fd], {
    ...nothing,
    accepted({ id }) {
      accepted++;
      kept.push(id);
    },
    gone: (id, how) => void gone.push(`${id} ${how}`),
  });
  say({ port });
  const began = process.cpuUsage();
  const looking = setInterval(() => {
    if (accepted < wanted) return;
    clearInterval(looking);
    setTimeout(() => {
      const { user, system } = process.cpuUsage(began);
      say({ accepted, open: sockets.count(), shed: sockets.shed(), gone: gone.length, cpuMs: Math.round((user + system) / 1_000) });
      sockets.stop();
      process.disconnect?.();
      process.exit(0);
    }, 500);
  }, 20);
}

/** Tells what `wanted` idle connections cost this process. */
function idle(): void {
  let accepted = 0;
  sockets.start([fd], {
    ...nothing,
    accepted() {
      accepted++;
    },
  });
  globalThis.gc?.();
  const beforeKb = residentKb();
  say({ port });
  const looking = setInterval(() => {
    if (accepted < wanted) return;
    clearInterval(looking);
    globalThis.gc?.();
    say({ accepted, bytesEach: Math.round(((residentKb() - beforeKb) * 1_024) / accepted) });
    process.exit(0);
  }, 20);
}

/** Ends by itself once both are stopped, though a worker with engines of its own was ended in the middle of it. */
function end(): void {
  const udp = openTrapDatagrams();
  const datagrams = createTrapDatagrams();
  datagrams.start([udp.udp4 ?? -1], { received() {}, settled() {} });
  sockets.start([fd], nothing);
  if (!isMainThread) return;
  const worker = new Worker(new URL(import.meta.url), { argv: ['end'] });
  worker.on('online', () => {
    connect(port, '127.0.0.1').on('error', () => {});
    setTimeout(() => {
      worker.terminate().then(
        () => {
          say({ open: sockets.count() });
          sockets.stop();
          datagrams.stop();
        },
        () => process.exit(1),
      );
    }, 200);
  });
}

({ short, idle, end })[what as 'short' | 'idle' | 'end']();
