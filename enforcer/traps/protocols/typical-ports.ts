/**
 * The decoy ports that a host of this persona would plausibly have open: those of its role, and a few that a neglected host has besides and attackers look
 * for first. Not the whole list: a host that offers everything is no host.
 */
import type { Persona } from './persona.ts';

export interface TypicalPorts {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

const SSH = 22;

/** By the role that the host's name tells (persona.ts). What is served together is listed together. */
const OF_ROLE: ReadonlyMap<string, readonly number[]> = new Map([
  ['web', [21, 80, 443, 3306, 8080]],
  ['app', [80, 443, 5432, 6379, 8080, 8443]],
  ['db', [3306, 5432, 6379, 11211, 27017]],
  ['srv', [21, 80, 443, 3306]],
  ['node', [80, 443, 2375, 6443, 9090]],
  ['files', [21, 80, 139, 445, 873]],
  ['mail', [25, 80, 110, 143, 443, 465, 587, 993, 995]],
  ['build', [80, 2375, 5000, 8080, 9418]],
  ['core', [80, 389, 443, 636]],
  ['edge', [80, 443, 1883, 3128, 8883]],
  ['intra', [80, 139, 389, 443, 445]],
  ['store', [21, 139, 445, 873, 9000]],
]);

/** What attackers try everywhere; each goes with what it comes with. */
const LOVED: readonly (readonly number[])[] = [
  [23],
  [21],
  [445, 139],
  [1080],
  [1883],
  [2375],
  [3306],
  [3389],
  [5432],
  [5900],
  [6379],
  [8080],
  [9200],
  [11211],
  [27017],
];

const LEAST_TCP = 9;
const MOST_TCP = 14;
const LEAST_LOVED = 2;

/** The same for the life of the host. 8 to 14 TCP ports, ssh among them, and 2 to 4 of UDP. */
export function typicalPorts(persona: Persona): TypicalPorts {
  const role = /^[a-z]+/.exec(persona.hostName)?.[0] ?? '';
  const tcp = new Set([SSH, ...(OF_ROLE.get(role) ?? [80, 443])]);
  const wanted = persona.between('typical-ports', LEAST_TCP, MOST_TCP - 2);
  let extras = 0;
  for (const group of drawn(persona, LOVED)) {
    const fresh = group.filter(port => !tcp.has(port));
    if (fresh.length === 0 || tcp.size + fresh.length > MOST_TCP || (tcp.size >= wanted && extras >= LEAST_LOVED)) continue;
    for (const port of fresh) tcp.add(port);
    extras++;
  }
  return { tcp: ascending(tcp), udp: ascending(udpFor(persona, tcp, role)) };
}

function udpFor(persona: Persona, tcp: ReadonlySet<number>, role: string): ReadonlySet<number> {
  const udp = new Set<number>();
  if (tcp.has(445)) udp.add(137); // Samba's name service runs beside it
  const others = [161, 69];
  if (persona.versions.ntp !== null) others.push(123); // chrony answers nobody
  if (role === 'core' || role === 'edge' || role === 'intra') others.push(53);
  const wanted = persona.between('typical-udp-ports', 2, 4);
  for (const port of drawn(persona, others)) if (udp.size < wanted) udp.add(port);
  return udp;
}

/** In an order that is this host's own. */
function drawn<T extends number | readonly number[]>(persona: Persona, choices: readonly T[]): readonly T[] {
  return choices
    .map(choice => ({ choice, rank: persona.between(`typical-port:${String(choice)}`, 0, 0xffff_ffff) }))
    .sort((one, other) => one.rank - other.rank)
    .map(({ choice }) => choice);
}

const ascending = (ports: ReadonlySet<number>): readonly number[] => [...ports].sort((one, other) => one - other);
