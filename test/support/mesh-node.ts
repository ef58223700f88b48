/** Drivers on loopback for tests, and strangers that speak to them. */
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { type MeshNode, type NodeDeps, type NodeOptions, type NodeRefusal, startNode } from '#enforcer/mesh/node/node.ts';
import { DEFAULT_VERSIONS, PROFILES, type Tuning } from '#enforcer/mesh/protocol/core/options.ts';
import type { MemberEvent } from '#enforcer/mesh/protocol/core/outputs.ts';
import { createKeyring } from '#enforcer/mesh/protocol/wire/keyring.ts';

export interface TestNode {
  readonly node: MeshNode;
  readonly events: readonly MemberEvent[];
  readonly refusals: readonly NodeRefusal[];
  /** Resolves when an event or a refusal makes it true. */
  until(condition: () => boolean): Promise<void>;
}

type Own = Partial<Omit<NodeOptions, 'member' | 'envelope'>> & {
  readonly tuning?: Partial<Tuning>;
  readonly keys?: readonly Uint8Array[];
  readonly label?: string;
};

export function createTestNodes() {
  const nodes: MeshNode[] = [];
  return {
    async start(name: string, { tuning = {}, keys = [], label = '', ...own }: Own = {}, deps: Partial<NodeDeps> = {}): Promise<TestNode> {
      const events: MemberEvent[] = [];
      const refusals: NodeRefusal[] = [];
      const watchers = new Set<() => void>();
      const wake = (): void => {
        for (const watcher of watchers) watcher();
      };
      const started = await startNode(
        {
          member: { ...PROFILES.lan, ...tuning, name, meta: new Uint8Array(), versions: DEFAULT_VERSIONS },
          bind: '127.0.0.1',
          port: 0,
          join: [],
          envelope: {
            label: new Uint8Array(Buffer.from(label)),
            skipLabelCheck: false,
            keyring: createKeyring(keys),
            verifyIncoming: true,
            verifyOutgoing: true,
            compress: true,
          },
          ...own,
        },
        {
          ...deps,
          onEvent(event) {
            events.push(event);
            wake();
          },
          onRefusal(refusal) {
            refusals.push(refusal);
            wake();
          },
        },
      );
      if (!started.ok) throw new Error(`${name} cannot be started: ${started.why}`);
      nodes.push(started.value);
      return {
        node: started.value,
        events,
        refusals,
        until(condition) {
          const { promise, resolve } = Promise.withResolvers<void>();
          const look = (): void => {
            if (!condition()) return;
            watchers.delete(look);
            resolve();
          };
          watchers.add(look);
          look();
          return promise;
        },
      };
    },
    async stop(): Promise<void> {
      await Promise.all(nodes.splice(0).map(node => node.stop()));
    },
  };
}

/** One datagram from nobody in particular. */
export async function throwAt(port: number, bytes: Uint8Array): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve, reject) => socket.send(bytes, port, '127.0.0.1', error => (error === null ? resolve() : reject(error))));
  socket.close();
}

/** Says this on a stream; resolves with all that came back when the other side has closed it. */
export async function say(port: number, bytes: Uint8Array): Promise<Buffer> {
  const socket = await dialled(port);
  socket.end(bytes);
  return heardOn(socket);
}

export async function dialled(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

export async function heardOn(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', chunk => chunks.push(chunk));
  socket.on('error', () => undefined); // reset: closed all the same
  await new Promise<void>(resolve => socket.once('end', () => resolve()).once('close', () => resolve()));
  socket.destroy();
  return Buffer.concat(chunks);
}
