/** The trap process: hostile bytes live and die here. A child of the daemon, without capabilities, with a heap of its own. */
import { hostname } from 'node:os';
import type { ToTrap, TrapMessage, TrapOptions } from '../messages.ts';
import { openHeartbeat } from './heartbeat.ts';
import { createObservationQueue } from './observations.ts';
import { peerOf } from './peer.ts';
import { createTrapServer, type TrapServer } from './server.ts';

let server: TrapServer | undefined;

function say(message: TrapMessage, done: () => void = () => {}): void {
  // A callback takes the error: without it a daemon that just died would end us by an exception instead of by 'disconnect'.
  if (process.connected) process.send?.(message, undefined, undefined, () => done());
}

async function start({ ipv4, ipv6, heartbeatPin, limits }: TrapOptions): Promise<void> {
  // Node.js cannot bound how long a synchronous step takes, so the heartbeat runs in the same loop as the traps: a stalled loop is a closed port.
  const heartbeat = openHeartbeat(heartbeatPin);
  const observations = createObservationQueue({ send: say, soon: setImmediate, sessions: () => server?.sessions() ?? 0 });
  server = createTrapServer({ limits, hostName: hostname().replace(/[^A-Za-z0-9.-]/g, '') || 'localhost' }, { observe: observations.add, peerOf });
  await server.listen([ipv4, ipv6].flatMap(fd => (fd === null ? [] : [{ fd }])));
  heartbeat.beat();
  setInterval(() => heartbeat.beat(), limits.heartbeatMs);
  // With nothing to observe the number of open sessions still changes: status shows it.
  setInterval(() => say({ kind: 'observations', observations: [], sessions: server?.sessions() ?? 0, lost: 0 }), 1_000);
  say({ kind: 'listening' });
}

function giveUp(why: unknown): void {
  say({ kind: 'trouble', why: why instanceof Error ? why.message : String(why) }, () => process.exit(1));
}

process.on('message', (message: ToTrap) => {
  if (message.kind === 'start') start(message.options).catch(giveUp);
  else server?.closeSource(message.target);
});
process.once('disconnect', () => process.exit(0)); // the daemon is gone; the kernel stops steering when the heartbeat is old
process.on('SIGINT', () => {}); // Ctrl-C is for the launcher, which ends us in order
process.once('SIGTERM', () => {
  server?.stop();
  process.exit(0);
});
process.once('uncaughtException', giveUp);
