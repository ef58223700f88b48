/** A host in a namespace and its clients in another, one veth between them: a wire for each contender, so that nobody's programs lie in another's way. */
import { createLab, type Namespace } from '#test/support/namespaces.ts';

export const HOST = '10.79.0.1';
/** The server's processes have one core, the clients the other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;

/** Sources next door, with a whole TCP stack behind them; see `source_of` in clients.c. */
export const ALLOWED = { prefix: '10.128.0.0/10', base: '10.128.0.0' } as const;
export const STRANGERS = { prefix: '10.192.0.0/10', base: '10.192.0.0' } as const;
/** The attackers of test/bench/reaction. */
export const ACTORS = '10.90.0.0/16';

export interface BenchWire {
  readonly host: Namespace;
  readonly clients: Namespace;
  remove(): void;
}

export function createBenchWire(): BenchWire {
  const lab = createLab();
  try {
    const [host, clients] = [lab.namespace('host'), lab.namespace('clients')];
    lab.link(
      { namespace: host, device: 'eth0', addresses: [`${HOST}/24`], mac: '02:00:00:00:00:02' },
      { namespace: clients, device: 'eth0', addresses: ['10.79.0.2/24'], mac: '02:00:00:00:00:01' },
    );
    lab.ip(['route', 'add', 'default', 'via', '10.79.0.2'], host);
    for (const prefix of [ALLOWED.prefix, STRANGERS.prefix, ACTORS]) lab.ip(['route', 'add', 'local', prefix, 'dev', 'lo'], clients);
    return { host, clients, remove: lab.remove };
  } catch (error) {
    lab.remove();
    throw error;
  }
}

/** What pins a command and all its children. */
export const pinnedTo = (core: number): readonly string[] => ['taskset', '-c', String(core)];
