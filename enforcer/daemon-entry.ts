/** The daemon's process: waits for the launcher's word, starts, and ends in order when it is told to. */
import { startDaemon } from './daemon.ts';
import { DAEMON_TURN_MS, takeShortTurns } from './kernel/turns.ts';
import { openLauncherChannel } from './launch/channel.ts';

const STOP_MS = 8_000;
let stopping = false;

async function main(): Promise<void> {
  let stop: (why: string) => void = () => process.exit(0); // told to stop before there was anything to stop
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => {}); // Ctrl-C is for the launcher, which ends us in order
  const channel = await openLauncherChannel();
  const daemon = await startDaemon(channel, () => {
    channel.send({ kind: 'stopping' });
    stop('by order');
  });
  stop = why => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), STOP_MS).unref();
    daemon.stop(why).then(() => process.exit(0), fail);
  };
  takeShortTurns(DAEMON_TURN_MS); // not before: the thread of the store and the traps' process are in less of a hurry
  channel.send({ kind: 'ready', dashboard: daemon.dashboard });
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
main().catch(fail);
