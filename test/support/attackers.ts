/**
 * The scene of every attack test: a host with real services and a running enforcer, and next door a namespace that owns all addresses
 * of 10.79.128.0/17, so that each attack comes from a source of its own and one enforcer meets all of them.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { EventKind } from '@honeymesh/intel/events';
import type { BanRow, EventRow, ExplainReport, StatusReport } from '#enforcer/control/operations.ts';
import { type SeenPacket, type Tap, tapOn } from '#test/support/attackers-tap.ts';
import { createEnforcerHost, type EnforcerHost, eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { type CommandResult, createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

export const HOST = '10.79.0.1';
export const HOST6 = 'fd79::1';
export const HOST_MAC = '02:79:00:00:00:01';
/** The neighbour's own address; it is no attacker's. */
export const NEIGHBOUR = '10.79.0.2';
export const NEIGHBOUR_MAC = '02:79:00:00:00:02';
/** What the host really serves. UDP 20400 swallows, UDP 5400 echoes. */
export const OPEN_TCP = [80, 5432] as const;
export const OPEN_UDP = [5400, 20_400] as const;

const SERVICES = fileURLToPath(new URL('traffic-services.ts', import.meta.url));
const DATAGRAMS = fileURLToPath(new URL('traffic-udp.ts', import.meta.url));
const CLIENT = fileURLToPath(new URL('traffic-client.ts', import.meta.url));

/** An address of the neighbour's that no other call gives. */
export const source = (number: number): string => `10.79.${128 + (number >> 8)}.${number & 255}`;
/** The same for IPv6, each in a /64 of its own. The scene makes as many as `ipv6` says. */
export const source6 = (number: number): string => `fd7a:0:0:${(number + 1).toString(16)}::66`;

export interface Scene {
  readonly lab: Lab;
  readonly host: Namespace;
  readonly outside: Namespace;
  readonly enforcer: EnforcerHost;
  running(): RunningEnforcer;
  /** What got past the filter of the host, and what the host sent. */
  readonly hostTap: Tap;
  /** What the neighbour sent, and what it got. */
  readonly outsideTap: Tap;
  status(): Promise<StatusReport>;
  bans(target?: string): Promise<readonly BanRow[]>;
  explain(address: string): Promise<ExplainReport>;
  /** Oldest first. */
  events(address: string): Promise<readonly EventRow[]>;
  /** Waits until so many events of a kind are told of a source; all of that kind that there are. What can be spoofed is recorded a moment after it was enforced. */
  told(address: string, kind: EventKind, atLeast?: number): Promise<readonly EventRow[]>;
  /** Waits for the shun of a source and returns its row; it is looked at through the operator's own list. */
  shunOf(address: string, patienceMs?: number): Promise<BanRow>;
  nmap(args: readonly string[], options?: { timeoutMs?: number; from?: Namespace }): Promise<CommandResult>;
  /** An ordinary client: a short connection every `everyMs`, for `forMs`. */
  client(address: string, options: ClientOptions): Promise<ClientResult>;
  /** Datagrams at a steady rate to a port that echoes, unless it swallows. */
  datagrams(address: string, options: DatagramOptions): Promise<{ readonly sent: number; readonly heard: number }>;
  /** Ends the enforcer, takes everything off. */
  remove(): Promise<void>;
}

export interface ClientOptions {
  readonly everyMs: number;
  readonly forMs: number;
  readonly port?: number | readonly number[];
  /** A connection that is not served within it is given up, ms. */
  readonly patienceMs?: number;
  /** Where it runs and whom it asks; the neighbour asks the host unless told otherwise. */
  readonly from?: Namespace;
  readonly to?: string;
}

export interface DatagramOptions {
  readonly perSecond: number;
  readonly forMs: number;
  readonly port?: number;
  readonly bytes?: number;
  readonly from?: Namespace;
  readonly to?: string;
}

export interface ClientResult {
  readonly tried: number;
  readonly served: number;
  readonly why: readonly string[];
}

export interface SceneOptions {
  /** Beside the interface: lines of the configuration file. */
  readonly config?: string;
  readonly ipv6?: number;
  /** Runs when the services listen, before the enforcer starts. */
  readonly before?: (scene: { readonly lab: Lab; readonly host: Namespace; readonly outside: Namespace }) => void | Promise<void>;
}

/** Builds the scene; resolves when services listen and the enforcer is on. Nothing of the default ranges is kept from sharing: only tiers protect. */
export async function createScene({ config = '', ipv6 = 0, before }: SceneOptions = {}): Promise<Scene> {
  const lab = createLab();
  let enforcer: EnforcerHost | undefined;
  try {
    const host = lab.namespace('host');
    const outside = lab.namespace('outside');
    const sources6 = Array.from({ length: ipv6 }, (_, number) => `${source6(number)}/64`);
    lab.link(
      { namespace: host, device: 'eth0', addresses: [`${HOST}/16`, `${HOST6}/64`], mac: HOST_MAC },
      { namespace: outside, device: 'eth0', addresses: [`${NEIGHBOUR}/16`, 'fd79::2/64', ...sources6], mac: NEIGHBOUR_MAC },
    );
    lab.ip(['route', 'add', 'local', '10.79.128.0/17', 'dev', 'lo'], outside);
    lab.ip(['-6', 'route', 'add', 'fd7a::/16', 'dev', 'eth0'], host);
    // A host that answers every closed port at once: whatever is silent, the filter silenced.
    await host.run(['sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0']);
    const [hostTap, outsideTap] = await Promise.all([tapOn(host, 'eth0'), tapOn(outside, 'eth0'), serveIn(host)]);
    await before?.({ lab, host, outside });
    enforcer = createEnforcerHost(host, `interfaces: [eth0]\nshare: { never: [] }\nlog: { level: warn }\n${config}`);
    const running = enforcer.run();
    await running.ready();
    return sceneOf(lab, host, outside, enforcer, running, hostTap, outsideTap);
  } catch (error) {
    await enforcer?.remove();
    lab.remove();
    throw error;
  }
}

function sceneOf(lab: Lab, host: Namespace, outside: Namespace, enforcer: EnforcerHost, running: RunningEnforcer, hostTap: Tap, outsideTap: Tap): Scene {
  const events = async (address: string): Promise<readonly EventRow[]> =>
    (await enforcer.json<EventRow[]>(['events', 'list', '--source', address, '--limit', '1000'])).reverse();
  const bans = (target?: string): Promise<readonly BanRow[]> => enforcer.json(['bans', 'list', ...(target === undefined ? [] : ['--target', target])]);
  return {
    lab,
    host,
    outside,
    enforcer,
    running: () => running,
    hostTap,
    outsideTap,
    bans,
    status: () => enforcer.json(['status']),
    explain: address => enforcer.json(['explain', address]),
    events,
    async told(address, kind, atLeast = 1) {
      let found: readonly EventRow[] = [];
      await eventually(`${atLeast} events ${kind} of ${address}`, async () => {
        found = (await events(address)).filter(event => event.kind === kind);
        return found.length >= atLeast;
      });
      return found;
    },
    async shunOf(address, patienceMs) {
      let found: BanRow | undefined;
      await eventually(
        `${address} is shunned`,
        async () => {
          [found] = await bans(address);
          return found !== undefined;
        },
        patienceMs,
      );
      return found as BanRow;
    },
    // Without -n it asks for names, without -Pn it tries hosts first; no test is about that.
    nmap: (args, { timeoutMs = 60_000, from = outside } = {}) => from.run(['nmap', '-n', '-Pn', '-oG', '-', ...args], { timeoutMs }),
    async client(address, { everyMs, forMs, patienceMs = 2_500, port = OPEN_TCP[0], from = outside, to = hostOf(address) }) {
      return JSON.parse(
        (await from.run([process.execPath, CLIENT, address, to, String(port), ...[everyMs, forMs, patienceMs].map(String)])).stdout,
      ) as ClientResult;
    },
    async datagrams(address, { perSecond, forMs, port = OPEN_UDP[0], bytes = 60, from = outside, to = hostOf(address) }) {
      const line = [process.execPath, DATAGRAMS, address, to, ...[port, bytes, perSecond, forMs].map(String)];
      return JSON.parse((await from.run(line)).stdout) as { sent: number; heard: number };
    },
    async remove() {
      try {
        await enforcer.remove();
      } finally {
        lab.remove();
      }
    },
  };
}

const hostOf = (address: string): string => (address.includes(':') ? HOST6 : HOST);

/** Starts services like those of a scene in another namespace, on all addresses or on one; resolves when they listen. */
export async function serveIn(namespace: Namespace, address = '::'): Promise<ChildProcess> {
  const services = namespace.start([process.execPath, SERVICES, address, OPEN_TCP.join(), OPEN_UDP.join()], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await Promise.race([once(services.stdout ?? services, 'data').then(String), once(services, 'exit').then(() => 'nothing and ended')]);
  if (!said.includes('listening')) throw new Error(`the services said ${said}`);
  return services;
}

/** How one packet is told from another on both sides of a wire. */
export const keyOf = ({ protocol, from, fromPort, toPort, flags, fragment }: SeenPacket): string =>
  `${protocol} ${from}:${fromPort ?? '-'} -> ${toPort ?? '-'} ${flags ?? ''}${fragment === null ? '' : ` fragment at ${fragment}`}`;

/** What a source sent to the host and what of it got past the filter, in the order of the wire. `only`: what is looked at. */
export async function sentAndPassed(
  scene: Scene,
  address: string,
  only: (packet: SeenPacket) => boolean,
): Promise<{ sent: readonly SeenPacket[]; passed: readonly SeenPacket[] }> {
  const sent = (await scene.outsideTap.packets()).filter(packet => packet.way === 'out' && packet.from === address && only(packet));
  const passed = (await scene.hostTap.packets()).filter(packet => packet.way === 'in' && packet.from === address && only(packet));
  return { sent, passed };
}

/** The packets before the one that brings the `threshold`th distinct port: the filter must let exactly these through. */
export function beforeThreshold(sent: readonly SeenPacket[], threshold = 3): readonly SeenPacket[] {
  const ports = new Set<number | undefined>();
  const crossing = sent.findIndex(({ toPort }) => ports.add(toPort).size >= threshold);
  return crossing === -1 ? sent : sent.slice(0, crossing);
}

/** Ports on which the host told this source that they are closed: by a RST, or by an ICMP error. */
export async function closedAnswers(scene: Scene, address: string): Promise<readonly number[]> {
  const told = (await scene.hostTap.packets()).filter(packet => packet.way === 'out' && packet.to === address);
  const ports = told.flatMap(({ flags, fromPort, aboutPort }) => (flags?.includes('R') ? [fromPort ?? 0] : aboutPort === undefined ? [] : [aboutPort]));
  return [...new Set(ports)];
}
