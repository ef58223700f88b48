/** The join list, entry by entry, to addresses: resolved anew each time, as names move. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Endpoint, placeOf } from '../protocol/core/endpoint.ts';
import { endpointFrom, parseTarget, type TargetFault } from './places.ts';

export interface Resolved {
  /** Every address of every name, each once. */
  readonly endpoints: readonly Endpoint[];
  readonly failed: readonly Unresolved[];
}

export interface Unresolved {
  readonly target: string;
  readonly why: TargetFault | 'unresolved' | 'timeout' | 'too-many';
}

export interface ResolveOptions {
  readonly defaultPort: number;
  /** For all of the list together, ms. */
  readonly timeoutMs: number;
}

export type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

/** Addresses that one list yields: a name under somebody else's control must not make us dial thousands. */
export const MOST_ENDPOINTS = 256;

/** The system's resolver: /etc/hosts counts, too. */
export const systemLookup: Lookup = host => lookup(host, { all: true });

/** Never rejects. */
export async function resolveTargets(targets: readonly string[], { defaultPort, timeoutMs }: ResolveOptions, find: Lookup = systemLookup): Promise<Resolved> {
  const endpoints = new Map<string, Endpoint>();
  const failed: Unresolved[] = [];
  const timeout = Promise.withResolvers<'timeout'>();
  const timer = setTimeout(() => timeout.resolve('timeout'), timeoutMs);

  async function resolve(target: string): Promise<void> {
    const place = parseTarget(target, defaultPort);
    if (!place.ok) return void failed.push({ target, why: place.why });
    const { host, port } = place.value;
    const found = isIP(host) ? [{ address: host }] : await Promise.race([find(host).catch(() => 'unresolved' as const), timeout.promise]);
    if (typeof found === 'string') return void failed.push({ target, why: found });
    for (const { address } of found) {
      const endpoint = endpointFrom(address, port);
      if (endpoint !== null && endpoints.size < MOST_ENDPOINTS) endpoints.set(placeOf(endpoint), endpoint);
    }
  }

  await Promise.all(targets.slice(0, MOST_ENDPOINTS).map(resolve));
  clearTimeout(timer);
  for (const target of targets.slice(MOST_ENDPOINTS)) failed.push({ target, why: 'too-many' });
  return { endpoints: [...endpoints.values()], failed };
}
