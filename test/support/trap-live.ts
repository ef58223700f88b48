/** The traps' server on real connections of loopback: the addon's engine and a listener as the launcher makes it. Each protocol port is played on it. */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { isHostile, judgeObservation } from '#enforcer/detect/judge.ts';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import type { TrapIdentity, TrapLimits, TrapObservation } from '#enforcer/traps/messages.ts';
import { createPersona, type Persona } from '#enforcer/traps/protocols/persona.ts';
import { createProtocolTraps } from '#enforcer/traps/protocols/registry.ts';
import { createRandomness } from '#enforcer/traps/server/randomness.ts';
import { createTrapServer, type TrapServer } from '#enforcer/traps/server/server.ts';
import { createTrapSockets } from '#enforcer/traps/server/sockets.ts';
import { createSshTrap } from '#enforcer/traps/server/ssh.ts';
import { createTlsTerminator, type TlsTerminator } from '#enforcer/traps/server/tls.ts';
import { TRAP_LIMITS } from '#enforcer/traps/supervisor.ts';

type Of<Kind extends TrapObservation['kind']> = Extract<TrapObservation, { kind: Kind }>;

export interface LiveTrap {
  readonly server: TrapServer;
  readonly tls: TlsTerminator;
  readonly persona: Persona;
  readonly port: number;
  readonly faults: readonly unknown[];
  of<Kind extends TrapObservation['kind']>(kind: Kind): Of<Kind>[];
  connect(from?: string): Socket;
  stop(): void;
}

/** Plays what `plays` is known for, whatever port the system gave. */
export function startLiveTrap(plays: number, identity: TrapIdentity, limits: Partial<TrapLimits> = {}): LiveTrap {
  const listener = mustHave(addon().trapListener(false, 0, 0, 1024), 'HM_TRAP_LISTEN', 'test');
  const persona = createPersona(Buffer.from(identity.seed, 'base64'));
  const tls = createTlsTerminator({ key: identity.tlsKey, certificate: identity.tlsCertificate });
  const createTrap = createProtocolTraps(new Map([['ssh', createSshTrap({ hostKeys: identity.sshHostKeys })]]));
  const seen: TrapObservation[] = [];
  const faults: unknown[] = [];
  const sockets = createTrapSockets();
  const server = createTrapServer(
    { limits: { ...TRAP_LIMITS, ...limits }, persona },
    {
      sockets,
      tls,
      judge: { judge: judgeObservation, isHostile },
      createTrap: context => createTrap({ ...context, port: plays }),
      random: createRandomness(),
      observe: observation => void seen.push(observation),
      settled: () => {},
      pressed: () => false,
      fault: error => void faults.push(error),
    },
  );
  server.start([listener.fd]);
  return {
    server,
    tls,
    persona,
    port: listener.port,
    faults,
    of: <Kind extends TrapObservation['kind']>(kind: Kind): Of<Kind>[] => seen.filter((one): one is Of<Kind> => one.kind === kind),
    connect(from) {
      const socket = connectTcp({ port: listener.port, host: '127.0.0.1', ...(from === undefined ? {} : { localAddress: from }) });
      socket.on('error', () => {});
      return socket;
    },
    stop() {
      server.stop();
      addon().closeFd(listener.fd);
    },
  };
}

export async function eventually(what: string, holds: () => boolean, patienceMs = 5_000): Promise<void> {
  for (const startedMs = performance.now(); !holds(); ) {
    if (performance.now() - startedMs > patienceMs) throw new Error(`it did not come to be that ${what}`);
    await sleep(5);
  }
}

/** What `socket` hears until it matches, or begins as `wanted` does; a character for each byte. */
export async function hears(socket: Duplex, wanted: RegExp | string, patienceMs = 5_000): Promise<string> {
  let text = '';
  const take = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
  };
  const matches = (): boolean => (typeof wanted === 'string' ? text.startsWith(wanted) : wanted.test(text));
  socket.on('data', take);
  try {
    await eventually(`${wanted} was heard`, () => matches() || socket.destroyed, patienceMs);
  } finally {
    socket.off('data', take);
  }
  if (!matches()) throw new Error(`heard ${JSON.stringify(text.slice(0, 200))} instead of ${wanted}`);
  return text;
}

/** How the connection ends: `FIN`, or the code of its error. */
export async function ending(socket: Socket): Promise<string> {
  socket.resume();
  const [error] = await Promise.race([once(socket, 'error'), once(socket, 'end').then(() => ['FIN'])]);
  return typeof error === 'string' ? error : String((error as NodeJS.ErrnoException).code);
}
