/** The lab of the live tests: a guarded host, a client outside, and whoever a test puts beside them. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { build } from '#enforcer/launch/setup/build.mjs';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';
import type { ClientCommand, ClientOrder } from './packet-path-client.ts';
import type { HostCommand, HostState } from './packet-path-host.ts';

export const HOST = '10.97.0.1';
export const HOST6 = 'fd97::1';
/** Clients are many: a scan of one test must not be another's shun. IPv6 ones of several /64. */
export const CLIENTS = [2, 3, 4, 5, 6, 7, 8, 9].map(last => `10.97.0.${last}`);
export const CLIENTS6 = ['fd97::2', 'fd98::2', 'fd98::3'];

/** How long to wait for what must not come, and for what must. */
export const SOON_MS = 100;
const PATIENT_MS = 3_000;

export interface LiveLab {
  readonly lab: Lab;
  readonly host: Namespace;
  readonly outside: Namespace;
  order(command: HostCommand): Promise<HostState>;
  client(command: ClientCommand, waitMs?: number): Promise<string>;
  /** Open with an id of its own. */
  connect(from: string, to: string, port: number, waitMs?: number): Promise<string>;
  pings(from: string, to: string): Promise<number>;
  close(): Promise<void>;
}

/** `devices`: of the host, guarded; `prepare` makes those that are not there yet. */
export async function createLiveLab({
  devices = ['eth0'],
  prepare = () => {},
}: {
  devices?: readonly string[];
  prepare?: (lab: Lab, host: Namespace) => void;
} = {}): Promise<LiveLab> {
  build();
  const unified = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'latin1'))?.[1];
  expect(unified, 'a mounted cgroup2').toBeDefined();
  const cgroup = `${unified}/hmt-packet-path-${process.pid}`;
  const lab = createLab();
  const [host, outside] = [lab.namespace('host'), lab.namespace('outside')];
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`, `${HOST6}/64`] },
    { namespace: outside, device: 'eth0', addresses: [...CLIENTS.map(address => `${address}/24`), ...CLIENTS6.map(address => `${address}/64`)] },
  );
  for (const network of ['fd98::/64']) lab.ip(['route', 'add', network, 'dev', 'eth0'], host);
  prepare(lab, host);
  const speakTo = async (
    namespace: Namespace,
    script: string,
    args: readonly string[] = [],
  ): Promise<{ child: ChildProcess; ask: (command: unknown) => Promise<unknown> }> => {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const child = namespace.start([process.execPath, path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]();
    const next = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value));
    expect(await next()).toBe('ready');
    return {
      child,
      ask(command) {
        child.stdin?.write(`${JSON.stringify(command)}\n`);
        return next();
      },
    };
  };
  const guarded = await speakTo(host, './packet-path-host.ts', [devices.join(','), cgroup, HOST, HOST6, '127.0.0.1', '::1']);
  const client = await speakTo(outside, './packet-path-client.ts');
  let opened = 0;
  const say: LiveLab['client'] = (command, waitMs = PATIENT_MS) => client.ask({ command, waitMs } satisfies ClientOrder) as Promise<string>;
  return {
    lab,
    host,
    outside,
    order: command => guarded.ask(command) as Promise<HostState>,
    client: say,
    connect: (from, to, port, waitMs) => say({ do: 'open', id: `connection ${opened++}`, from, to, port }, waitMs),
    async pings(from, to) {
      const ran = await outside.run(['ping', '-n', '-q', '-c', '2', '-i', '0.05', '-W', '0.3', '-I', from, to], { mayFail: true });
      return Number(/(\d+) received/.exec(ran.stdout)?.[1] ?? -1);
    },
    async close() {
      for (const { child } of [client, guarded]) {
        child.stdin?.end();
        if (child.exitCode === null) await Promise.race([once(child, 'exit'), sleep(5_000)]);
      }
      lab.remove();
      rmdirSync(cgroup);
    },
  };
}

/** Sends frames from a namespace's eth0 and returns, in hex, what came in there within `waitMs`. */
export function exchange(namespace: Namespace, frames: readonly Uint8Array[], waitMs = 200): readonly string[] {
  const script = `
import select, socket, sys, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("eth0", 0x0003))
for line in sys.stdin:
    wire.send(bytes.fromhex(line))
until = time.monotonic() + ${waitMs / 1000}
while select.select([wire], [], [], max(0, until - time.monotonic()))[0]:
    frame, (_, _, kind, _, _) = wire.recvfrom(2048)
    if kind != 4:
        print(frame.hex())
`;
  const [command, ...args] = namespace.inside(['python3', '-c', script]);
  const ran = spawnSync(command, args, { encoding: 'utf8', input: frames.map(frame => `${Buffer.from(frame).toString('hex')}\n`).join(''), timeout: 10_000 });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return ran.stdout.split('\n').filter(line => line !== '');
}
