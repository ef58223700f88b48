/** The join list, entry by entry, to addresses: resolved anew each time, as names move. */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type Endpoint, placeOf } from '../protocol/core/endpoint.ts';
import { askForAny, type DnsServer } from './dns-any.ts';
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
const plainLookup: Lookup = host => lookup(host, { all: true });

export interface LookupOptions {
  /** Where the server is named that is asked first. */
  readonly resolvConf: string;
  /** For that server, ms; the system's resolver is asked after it. */
  readonly timeoutMs: number;
}

const DNS_PORT = 53;
const LONGEST_RESOLV_CONF = 65_536;

/**
 * As memberlist: a name with a dot is asked of the first server of resolv.conf, over TCP and for ANY, as that gives the most addresses; where it has none,
 * and for a name without a dot, the system's resolver is asked.
 */
export function createLookup({ resolvConf, timeoutMs }: LookupOptions, plain: Lookup = plainLookup): Lookup {
  return async host => {
    const server = host.includes('.') ? await firstServer(resolvConf) : null;
    const answer = server === null ? null : await askForAny(host, server, timeoutMs);
    return answer?.ok && answer.value.length > 0 ? answer.value.map(address => ({ address })) : plain(host);
  };
}

export const systemLookup: Lookup = createLookup({ resolvConf: '/etc/resolv.conf', timeoutMs: 2000 });

/** The first `nameserver`, which may name a port (memberlist takes that, too). Read anew each time: networks change it. */
async function firstServer(path: string): Promise<DnsServer | null> {
  const text = (await readFile(path, 'latin1').catch(() => '')).slice(0, LONGEST_RESOLV_CONF);
  const word = /^[ \t]*nameserver[ \t]+(\S+)/m.exec(text)?.[1];
  if (word === undefined) return null;
  if (isIP(word) !== 0) return { host: word, port: DNS_PORT };
  const place = parseTarget(word, DNS_PORT);
  return place.ok && isIP(place.value.host) !== 0 ? place.value : null;
}

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
