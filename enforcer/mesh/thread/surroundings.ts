/** What the ledger asks of the mesh: how many sites and hosts there are, and which members answered lately. From the member's last view. */
import { type Address, hostPrefix, isHostPrefix, networkOf, type Prefix, parseAddress } from '@honeymesh/intel/address';
import { createPrefixTable, type PrefixTable } from '@honeymesh/intel/prefix-table';
import { MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';
import { readPlace } from '../../config/mesh-fields.ts';
import type { MeshSurroundings } from '../../ledger/advice/advice.ts';
import type { AdviceRecord } from '../../ledger/advice/records.ts';
import type { MeshPeer, MeshView } from '../port.ts';

const ANSWERED_MS = 10 * MINUTE_MS;
const LOOKED_AT = 256;
const MOST_SITES = 256;

export interface ViewedSurroundings extends MeshSurroundings {
  /** null: the mesh is down. Who answered within 10 minutes stays untouchable for the rest of them, and votes are counted as before. */
  see(view: MeshView | null): void;
  /** Somebody certified for this site spoke: it counts before the next view does, or two hosts of one site would be a quorum until then. */
  heardFrom(site: string): void;
  /** This host is no member any more. */
  forget(): void;
  /** Members at addresses in `prefix`, whatever their state. */
  membersIn(prefix: Prefix): readonly MeshPeer[];
}

interface Answered {
  readonly name: string;
  readonly at: UnixMs;
}

export interface SurroundingsDeps {
  readonly now: () => UnixMs;
  /** Where the hub answers. */
  readonly hubEndpoints?: () => readonly Prefix[];
}

/** `remembered`: what the ledger keeps of advice. Until the mesh is seen, votes are counted as among those who gave them. */
export function createSurroundings(
  { now, hubEndpoints = () => [] }: SurroundingsDeps,
  { remembered = [] }: { readonly remembered?: readonly AdviceRecord[] } = {},
): ViewedSurroundings {
  let peers: readonly MeshPeer[] = [];
  let counted = countedIn(remembered);
  /** Since the last view. */
  const spoke = new Set<string>();
  let answered = new Map<Address, Answered>();
  let answeredTable: PrefixTable<Answered> | undefined;
  let table: PrefixTable<readonly MeshPeer[]> | undefined;

  function tableOf(): PrefixTable<readonly MeshPeer[]> {
    if (table !== undefined) return table;
    table = createPrefixTable();
    for (const peer of peers) {
      const address = addressOf(peer);
      if (address !== null) table.set(hostPrefix(address), [...(table.get(hostPrefix(address)) ?? []), peer]);
    }
    return table;
  }

  function remember(): void {
    const at = now();
    const former = answered;
    answered = new Map([...former].filter(([, one]) => isFresh(one.at, at)));
    answeredTable = undefined;
    for (const peer of peers) {
      if (peer.answeredAt === null || !isFresh(peer.answeredAt, at)) continue;
      const address = addressOf(peer);
      if (address !== null) answered.set(address, { name: peer.name, at: peer.answeredAt });
    }
  }

  /** Each advised address asks; a prefix is asked for now and then. */
  function answeredIn(prefix: Prefix): readonly Answered[] {
    if (answeredTable === undefined) {
      answeredTable = createPrefixTable();
      for (const [address, one] of answered) answeredTable.set(hostPrefix(address), one);
    }
    return answeredTable.within(prefix, LOOKED_AT);
  }

  return {
    see(seen) {
      peers = seen?.peers ?? [];
      table = undefined;
      if (seen !== null) {
        counted = { sites: Math.max(1, seen.sites), hosts: Math.max(1, seen.hosts) };
        spoke.clear();
        if (seen.self.site !== null) spoke.add(seen.self.site);
      }
      remember();
    },
    heardFrom(site) {
      if (spoke.size < MOST_SITES) spoke.add(site);
    },
    forget() {
      spoke.clear();
      peers = [];
      table = undefined;
      counted = { sites: 1, hosts: 1 };
      answered = new Map();
      answeredTable = undefined;
    },
    membersIn: prefix => tableOf().within(prefix, LOOKED_AT).flat(),
    get sites() {
      return Math.max(counted.sites, spoke.size);
    },
    get hosts() {
      return counted.hosts;
    },
    get hubEndpoints() {
      return hubEndpoints();
    },
    answered(prefix) {
      const at = now();
      const [found] = isHostPrefix(prefix) ? [answered.get(networkOf(prefix))] : answeredIn(prefix).filter(one => isFresh(one.at, at));
      return found !== undefined && isFresh(found.at, at) ? found.name : null;
    },
  };
}

function countedIn(remembered: readonly AdviceRecord[]): { readonly sites: number; readonly hosts: number } {
  const votes = remembered.flatMap(record => (record.kind === 'target' ? record.votes : []));
  const sites = new Set(votes.flatMap(({ site }) => site ?? []));
  const hosts = new Set(votes.flatMap(({ account, site }) => (site === null ? [] : account)));
  return { sites: Math.max(1, sites.size), hosts: Math.max(1, hosts.size) };
}

/** A clock that went back makes nobody a stranger. */
const isFresh = (answeredAt: UnixMs, now: UnixMs): boolean => now - answeredAt < ANSWERED_MS;

export function addressOf({ address }: Pick<MeshPeer, 'address'>): Address | null {
  const place = readPlace(address, 1);
  const read = parseAddress(place?.host ?? '');
  return read.ok ? read.value : null;
}
