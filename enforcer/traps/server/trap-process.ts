/** What runs in the trap process: hostile bytes live and die here. A child of the daemon, without capabilities, with a heap of its own. */
import { join } from 'node:path';
import { isHostile, judgeObservation } from '../../detect/judge.ts';
import type { ToTrap, TrapMessage, TrapOptions } from '../messages.ts';
import { createPersona } from '../protocols/persona.ts';
import { createProtocolTraps } from '../protocols/registry.ts';
import { respondToDatagram } from '../protocols/udp/registry.ts';
import { createTrapDatagrams } from './datagrams.ts';
import { type Heartbeat, openHeartbeat } from './heartbeat.ts';
import { createObservationQueue } from './observations.ts';
import { createRandomness } from './randomness.ts';
import { createTrapServer, type TrapServer } from './server.ts';
import type { Judge } from './session.ts';
import type { TrapSockets } from './socket-port.ts';
import { createTrapSockets } from './sockets.ts';
import { createSshTrap } from './ssh.ts';
import { createTlsTerminator } from './tls.ts';
import { openUdpReplies, type UdpReplies } from './udp-replies.ts';
import { createUdpServer, type UdpServer } from './udp-server.ts';

/** What a test replaces. */
export interface TrapProcessParts {
  readonly judge: Judge;
  readonly createSockets: () => TrapSockets;
  readonly openHeartbeat: (pin: string) => Heartbeat;
  readonly openUdpReplies: (pin: string) => UdpReplies;
}

const PARTS: TrapProcessParts = { judge: { judge: judgeObservation, isHostile }, createSockets: createTrapSockets, openHeartbeat, openUdpReplies };
const REPORT_MS = 1_000;

/** Waits for the daemon's first message and serves until the daemon ends it or is gone. Once for each process. */
export function runTrapProcess(replaced: Partial<TrapProcessParts> = {}): void {
  const parts = { ...PARTS, ...replaced };
  let server: TrapServer | undefined;
  let udp: UdpServer | undefined;
  let flush = (): void => {};
  let recorded = (_sessions: number): void => {};
  let faulted = false;

  function say(message: TrapMessage, done: () => void = () => {}): void {
    // A callback takes the error: without it a daemon that just died would end us by an exception instead of by 'disconnect'.
    if (process.connected) process.send?.(message, undefined, undefined, () => done());
  }

  /** One a second: a source that finds a way to our mistakes must not fill the log with them. */
  function fault(error: unknown): void {
    if (faulted) return;
    faulted = true;
    say({ kind: 'fault', why: textOf(error) });
  }

  function start({ ipv4, ipv6, udp4, udp6, pins, identity, limits }: TrapOptions): void {
    const persona = createPersona(Buffer.from(identity.seed, 'base64'));
    // Node.js cannot bound how long a synchronous step takes, so the heartbeat runs in the same loop as the traps: a stalled loop is a closed port.
    const heartbeat = parts.openHeartbeat(join(pins, 'heartbeat'));
    const observations = createObservationQueue({
      send: say,
      nowMs: () => performance.now(),
      later: (task, ms) => void setTimeout(task, ms),
      sessions: () => server?.sessions() ?? 0,
    });
    flush = observations.flush;
    recorded = sessions => {
      observations.recorded(sessions);
      server?.relieved();
    };
    const random = createRandomness();
    const { judge } = parts;
    const { add: observe, settled, pressed } = observations;
    server = createTrapServer(
      { limits, persona },
      {
        sockets: parts.createSockets(),
        tls: createTlsTerminator({ key: identity.tlsKey, certificate: identity.tlsCertificate }),
        judge,
        createTrap: createProtocolTraps(new Map([['ssh', createSshTrap({ hostKeys: identity.sshHostKeys })]])),
        random,
        observe,
        settled,
        pressed,
        fault,
      },
    );
    server.start([ipv4, ipv6].filter(fd => fd !== null));
    const udpSockets = [udp4, udp6].filter(fd => fd !== null);
    if (udpSockets.length > 0) {
      const replies = parts.openUdpReplies(join(pins, 'udp_replies'));
      const deps = {
        datagrams: createTrapDatagrams(),
        replies,
        respond: respondToDatagram,
        judge,
        observe,
        settled,
        fault,
        random,
        nowMs: () => performance.now(),
      };
      udp = createUdpServer({ limits, persona }, deps);
      udp.start(udpSockets);
    }
    heartbeat.beat();
    setInterval(() => heartbeat.beat(), limits.heartbeatMs);
    // Also with nothing to observe: the daemon shows the number of sessions, and ends who says nothing.
    setInterval(() => {
      faulted = false;
      say({ kind: 'observations', observations: [], sessions: server?.sessions() ?? 0, lost: 0 });
    }, REPORT_MS);
    say({ kind: 'listening' });
  }

  function giveUp(error: unknown): void {
    try {
      flush();
    } catch {} // it may be what failed
    say({ kind: 'trouble', why: textOf(error) }, () => process.exit(1));
  }

  process.on('message', (message: ToTrap) => {
    try {
      if (message.kind === 'start') start(message.options);
      else if (message.kind === 'close') server?.closeSources(message.targets);
      else recorded(message.sessions);
    } catch (error) {
      giveUp(error);
    }
  });
  process.once('disconnect', () => process.exit(0)); // the daemon is gone; the kernel stops steering when the heartbeat is old
  process.on('SIGINT', () => {}); // Ctrl-C is for the launcher, which ends us in order
  process.once('SIGTERM', () => {
    server?.stop();
    udp?.stop();
    flush();
    // The channel is written in order: when this has left, so have the last rows.
    say({ kind: 'observations', observations: [], sessions: 0, lost: 0 }, () => process.exit(0));
  });
  process.once('uncaughtException', giveUp);
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
