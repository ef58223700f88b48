/** An SSH trap on a loopback port, driven as traps/server drives it, for real clients to talk to. */
import { createServer, type Socket } from 'node:net';
import ssh2 from 'ssh2';
import type { MachineLimits, Observation, Outcome } from '#enforcer/traps/protocols/machine.ts';
import type { Persona } from '#enforcer/traps/protocols/persona.ts';
import { createSshTrap, type SshTrapOptions } from '#enforcer/traps/server/ssh.ts';
import { contextOf, LIMITS, personaWith } from '#test/support/trap-talk.ts';

export interface SshServer {
  readonly port: number;
  /** All that was seen in all sessions. */
  readonly seen: Observation[];
  readonly persona: Persona;
  credentials(): readonly string[];
  commands(): readonly string[];
  fingerprints(name: string): readonly string[];
  payloads(name: string): readonly string[];
  open(): number;
  stop(): Promise<void>;
}

const { generateKeyPairSync } = ssh2.utils;
export const HOST_KEYS: readonly string[] = [
  generateKeyPairSync('rsa', { bits: 2048 }),
  generateKeyPairSync('ecdsa', { bits: 256 }),
  generateKeyPairSync('ed25519'),
].map(keys => keys.private);

/** A persona whose sshd says `version` of itself, and that lets root in. */
export const sshPersona = (version: string): Persona =>
  personaWith(({ versions, weakLogin }) => versions.ssh.startsWith(`OpenSSH_${version}`) && weakLogin.user === 'root');

export async function startSshServer(
  persona: Persona,
  { limits = LIMITS, ...options }: Partial<SshTrapOptions> & { readonly limits?: MachineLimits } = {},
): Promise<SshServer> {
  const seen: Observation[] = [];
  const sockets = new Set<Socket>();
  const trap = createSshTrap({ hostKeys: HOST_KEYS, ...options });
  const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => {
    const machine = trap(contextOf(22, { persona, limits }));
    let alarm: NodeJS.Timeout | undefined;
    const follow = ({ send, observations, close, wakeAtMs }: Outcome): void => {
      if (send !== undefined) socket.write(send);
      seen.push(...observations);
      clearTimeout(alarm);
      if (close) socket.end(() => socket.destroy());
      else if (wakeAtMs !== 'never') alarm = setTimeout(() => follow(machine.expire(performance.now())), Math.max(1, wakeAtMs - performance.now()));
    };
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      clearTimeout(alarm);
      sockets.delete(socket);
      machine.ended?.();
    });
    socket.on('data', bytes => follow(machine.receive(bytes, performance.now())));
    follow(machine.open(performance.now()));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const of = <Kind extends Observation['kind']>(kind: Kind) =>
    seen.filter((observation): observation is Extract<Observation, { kind: Kind }> => observation.kind === kind);
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    seen,
    persona,
    credentials: () => of('credentials').map(({ user, secret }) => `${user}:${secret}`),
    commands: () => of('command').map(({ line }) => line),
    fingerprints: name => of('fingerprint').flatMap(each => (each.name === name ? [each.value] : [])),
    payloads: name => of('payload').flatMap(each => (each.name === name ? [each.content] : [])),
    open: () => sockets.size,
    stop: () =>
      new Promise(resolve => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
