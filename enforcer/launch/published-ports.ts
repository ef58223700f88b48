/**
 * Ports that DNAT, redirects, kube-proxy or IPVS serve, read from what iptables-save, nft and /proc/net/ip_vs print. No local socket says so, and taking such
 * a port for a closed one would put a trap before somebody's service: where a rule is not understood, more counts as served, never less. Pure.
 */
import type { ServedPorts } from '../kernel/port.ts';

const HIGHEST_PORT = 65535;
const EVERY_PORT = `0:${HIGHEST_PORT}`;
const DEEPEST = 32; // of nft's nested expressions

/** Ports by transport, as they are collected. */
class Found {
  readonly tcp = new Set<number>();
  readonly udp = new Set<number>();

  add(protocols: readonly string[], ranges: readonly string[]): void {
    for (const range of ranges) {
      const [low, high] = range.split(/[:-]/).map(Number);
      if (low === undefined || !Number.isInteger(low) || low < 0) continue;
      for (let port = low; port <= Math.min(high ?? low, HIGHEST_PORT); port++) for (const name of protocols) (name === 'udp' ? this.udp : this.tcp).add(port);
    }
  }

  ports(): ServedPorts {
    const sorted = (ports: Set<number>): number[] => [...ports].sort((one, other) => one - other);
    return { tcp: sorted(this.tcp), udp: sorted(this.udp) };
  }
}

const BOTH = ['tcp', 'udp'];

/** What `iptables-save` or `ip6tables-save` prints: DNAT, REDIRECT and TPROXY, and kube-proxy's chains of services. */
export function parseIptablesSave(text: string): ServedPorts {
  const found = new Found();
  for (const line of text.split('\n')) {
    const target = / -[jg] (\S+)/.exec(line)?.[1];
    if (!line.startsWith('-A ') || target === undefined || !/^(DNAT|REDIRECT|TPROXY|KUBE-(SVC|EXT|XLB|FW)-\S+)$/.test(target)) continue;
    if (/^-A OUTPUT /.test(line) || / -d 127\.\S+/.test(line) || / -i lo /.test(line)) continue; // this host's own traffic: nothing from outside
    const protocol = / -p (tcp|udp|6|17)\b/.exec(line)?.[1];
    const named = protocol === undefined ? BOTH : [protocol === 'udp' || protocol === '17' ? 'udp' : 'tcp'];
    if (/ -p \S/.test(line) && protocol === undefined) continue; // sctp, icmp
    const wanted = /(!?) --(?:dport|destination-port|dports|destination-ports) (\S+)/.exec(line);
    const ranges = wanted?.[2] === undefined || wanted[1] === '!' ? [EVERY_PORT] : wanted[2].split(',');
    // A cluster's internal service without a port is not reached at our own address.
    if (wanted === null && target.startsWith('KUBE-')) continue;
    found.add(named, ranges);
  }
  return found.ports();
}

/** What `nft -j list ruleset` prints. undefined where it is not nft's JSON. */
export function parseNftRuleset(text: string): ServedPorts | undefined {
  let ruleset: unknown;
  try {
    ruleset = JSON.parse(text);
  } catch {
    return undefined;
  }
  const rows = list(field(ruleset, 'nftables'));
  if (rows === undefined) return undefined;
  const sets = new Map<string, readonly unknown[]>();
  for (const row of rows) {
    const set = field(row, 'map') ?? field(row, 'set');
    if (isObject(set)) sets.set(`${String(set.family)} ${String(set.table)} @${String(set.name)}`, list(set.elem) ?? []);
  }
  const hooks = new Map(
    rows.flatMap(row => (isObject(field(row, 'chain')) ? [[chainName(field(row, 'chain')), String(field(field(row, 'chain'), 'hook'))] as const] : [])),
  );
  const found = new Found();
  const rules = rows.flatMap(row => {
    const rule = field(row, 'rule');
    return isObject(rule) && hooks.get(chainName(rule)) !== 'output'
      ? [readRule(rule, name => sets.get(`${String(rule.family)} ${String(rule.table)} ${name}`) ?? [], found)]
      : [];
  });
  const open = openChains(rules);
  for (const rule of rules) {
    if (!rule.forwards && !rule.targets.some(target => open.has(target))) continue;
    for (const match of rule.matches) found.add(match.protocols ?? BOTH, match.ranges);
    // Without a port in the rule it forwards every port, unless what led to its chain had one.
    if (rule.matches.length === 0 && !rule.mapped && hooks.get(rule.chain) === 'prerouting') found.add(rule.protocols, [EVERY_PORT]);
  }
  return found.ports();
}

/** Chains that forward whatever comes to them, by a rule of their own or through one that they jump to. */
function openChains(rules: readonly ForwardRule[]): ReadonlySet<string> {
  const open = new Set<string>();
  for (let before = -1; before < open.size; ) {
    before = open.size;
    for (const rule of rules) {
      const bare = rule.matches.length === 0 && !rule.mapped;
      if (bare && (rule.forwards || rule.targets.some(target => open.has(target)))) open.add(rule.chain);
    }
  }
  return open;
}

/** /proc/net/ip_vs: virtual services of IPVS. */
export function parseIpvs(text: string): ServedPorts {
  const found = new Found();
  for (const [, protocol, port] of text.matchAll(/^(TCP|UDP)\s+(?:[0-9A-F]{8}|\[[0-9a-f:]+\]):([0-9A-F]{4})\s/gim)) {
    found.add([protocol === 'UDP' ? 'udp' : 'tcp'], [String(Number.parseInt(port ?? '', 16))]);
  }
  return found.ports();
}

/** The union of several findings, each port once, in order. */
export function mergePorts(all: readonly ServedPorts[]): ServedPorts {
  const found = new Found();
  for (const { tcp, udp } of all) {
    for (const port of tcp) found.tcp.add(port);
    for (const port of udp) found.udp.add(port);
  }
  return found.ports();
}

interface ForwardRule {
  readonly chain: string;
  /** DNAT, redirect or tproxy stand in the rule itself. */
  readonly forwards: boolean;
  /** Its ports stand in a map, which has been read. */
  readonly mapped: boolean;
  readonly matches: readonly PortMatch[];
  readonly protocols: readonly string[];
  /** Chains that it jumps to. */
  readonly targets: readonly string[];
}

function readRule(rule: Readonly<Record<string, unknown>>, elementsOf: (name: string) => readonly unknown[], found: Found): ForwardRule {
  const matches: PortMatch[] = [];
  const targets: string[] = [];
  let protocols: readonly string[] | undefined;
  let forwards = false;
  let mapped = false;
  for (const statement of list(rule.expr) ?? []) {
    if (!isObject(statement)) continue;
    if (isObject(statement.match)) {
      const port = portMatch(statement.match, elementsOf);
      if (port !== undefined) matches.push(port);
      protocols ??= protocolMatch(statement.match);
    }
    for (const translate of ['dnat', 'redirect', 'tproxy']) {
      if (!(translate in statement)) continue;
      forwards = true;
      mapped = readMaps(statement[translate], elementsOf, found, 0) || mapped;
    }
    const target = field(statement.jump ?? statement.goto, 'target');
    if (typeof target === 'string') targets.push(chainName({ ...rule, chain: target }));
    // kube-proxy: "vmap @service-nodeports" goes to a chain for each service. One that accepts and drops is a filter.
    if (isObject(statement.vmap) && jumps(statement.vmap.data, elementsOf)) readMaps({ map: statement.vmap }, elementsOf, found, 0);
  }
  const known = protocols?.filter(name => BOTH.includes(name));
  const ofMatches = matches.map(match => ({ ...match, protocols: match.protocols ?? known }));
  return { chain: chainName(rule), forwards, mapped, matches: ofMatches, protocols: known ?? BOTH, targets };
}

interface PortMatch {
  readonly protocols: readonly string[] | undefined;
  readonly ranges: readonly string[];
}

function portMatch(match: Readonly<Record<string, unknown>>, elementsOf: (name: string) => readonly unknown[]): PortMatch | undefined {
  const payload = field(match.left, 'payload');
  if (field(payload, 'field') !== 'dport') return undefined;
  const protocol = String(field(payload, 'protocol'));
  const protocols = BOTH.includes(protocol) ? [protocol] : undefined;
  return { protocols, ranges: match.op === '!=' ? [EVERY_PORT] : rangesOf(match.right, elementsOf, 0) };
}

function protocolMatch(match: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const isProtocol =
    field(field(match.left, 'meta'), 'key') === 'l4proto' ||
    field(field(match.left, 'payload'), 'field') === 'protocol' ||
    field(field(match.left, 'payload'), 'field') === 'nexthdr';
  if (!isProtocol || match.op === '!=') return undefined;
  const names = list(field(match.right, 'set')) ?? [match.right];
  return names.map(name => ({ 6: 'tcp', 17: 'udp' })[String(name)] ?? String(name));
}

/** `dnat to tcp dport map { 80 : 10.0.0.2 }` and maps by name, whose keys may be concatenations such as "tcp . 30080". */
function readMaps(value: unknown, elementsOf: (name: string) => readonly unknown[], found: Found, depth: number): boolean {
  if (depth > DEEPEST || !isObject(value)) return false;
  const map = field(value, 'map');
  let read = false;
  if (isObject(map)) {
    const parts = list(field(map.key, 'concat')) ?? [map.key];
    const portAt = parts.findIndex(part => field(field(part, 'payload'), 'field') === 'dport');
    const protocolAt = parts.findIndex(part => field(field(part, 'meta'), 'key') === 'l4proto');
    const protocol = String(field(field(parts[portAt], 'payload'), 'protocol'));
    if (portAt >= 0) {
      read = true;
      const elements = typeof map.data === 'string' ? elementsOf(map.data) : (list(field(map.data, 'set')) ?? []);
      for (const element of elements) {
        const key = list(element)?.[0] ?? element;
        const keys = list(field(key, 'concat')) ?? list(field(field(field(key, 'elem'), 'val'), 'concat')) ?? [field(field(key, 'elem'), 'val') ?? key];
        const named = protocolAt < 0 ? protocol : String(keys[protocolAt]);
        found.add(BOTH.includes(named) ? [named] : BOTH, rangesOf(keys[portAt], elementsOf, 0));
      }
    }
  }
  for (const inner of Object.values(value)) read = readMaps(inner, elementsOf, found, depth + 1) || read;
  return read;
}

/** Whether a verdict map leads to other chains; one that accepts and drops is a filter. */
function jumps(data: unknown, elementsOf: (name: string) => readonly unknown[]): boolean {
  const elements = typeof data === 'string' ? elementsOf(data) : (list(field(data, 'set')) ?? []);
  return (
    typeof data === 'string' && elements.some(element => field(list(element)?.[1], 'goto') !== undefined || field(list(element)?.[1], 'jump') !== undefined)
  );
}

function rangesOf(value: unknown, elementsOf: (name: string) => readonly unknown[], depth: number): readonly string[] {
  if (depth > DEEPEST) return [EVERY_PORT];
  if (typeof value === 'number') return [String(value)];
  if (typeof value === 'string')
    return value.startsWith('@')
      ? elementsOf(value).flatMap(element => rangesOf(element, elementsOf, depth + 1))
      : /^\d+$/.test(value)
        ? [value]
        : [EVERY_PORT];
  const range = list(field(value, 'range'));
  if (range !== undefined) return [`${String(range[0])}:${String(range[1])}`];
  const inner = list(field(value, 'set')) ?? (field(value, 'elem') === undefined ? undefined : [field(field(value, 'elem'), 'val')]);
  return inner === undefined ? [EVERY_PORT] : inner.flatMap(one => rangesOf(one, elementsOf, depth + 1));
}

const chainName = (chain: unknown): string =>
  `${String(field(chain, 'family'))} ${String(field(chain, 'table'))} ${String(field(chain, 'chain') ?? field(chain, 'name'))}`;
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
const field = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);
const list = (value: unknown): readonly unknown[] | undefined => (Array.isArray(value) ? value : undefined);
