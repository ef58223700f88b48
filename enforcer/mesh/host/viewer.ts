/** The picture of the mesh as this host sees it now. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshNode } from '../node/node.ts';
import { textOfEndpoint } from '../node/places.ts';
import type { MeshView } from '../port.ts';
import { MOST_PEERS_SHOWN, type Neighbours, shownName } from './neighbours.ts';
import type { Refusals } from './refusals.ts';
import type { Ring } from './ring.ts';
import type { Signer } from './who.ts';

/** What is counted of the layer above; the driver counts the rest. */
export interface LayerCounts {
  userMessages: number;
  adviceHeard: number;
  withdrawalsHeard: number;
  envelopesSaid: number;
  adviceSaid: number;
  adviceDropped: number;
  misuses: number;
}

export interface Viewer {
  readonly counts: LayerCounts;
  view(): MeshView;
}

export interface ViewerDeps {
  /** Null before it has started. */
  readonly node: () => MeshNode | null;
  readonly name: string;
  readonly signer: Signer | null;
  readonly neighbours: Neighbours;
  readonly ring: Ring;
  readonly refusals: Refusals;
  readonly now: () => UnixMs;
}

export function createViewer({ node, name, signer, neighbours, ring, refusals, now }: ViewerDeps): Viewer {
  const counts: LayerCounts = { userMessages: 0, adviceHeard: 0, withdrawalsHeard: 0, envelopesSaid: 0, adviceSaid: 0, adviceDropped: 0, misuses: 0 };

  function self(at: UnixMs): MeshView['self'] {
    const certificate = signer === null ? null : (signer.roster.named(name) ?? signer.certificate);
    const running = node();
    return {
      name: shownName(name),
      address: running === null ? '' : textOfEndpoint(running.advertised),
      signer: certificate?.kid ?? null,
      site: certificate?.site ?? null,
      certifiedUntil: certificate !== null && certificate.notAfter > at ? certificate.notAfter : null,
    };
  }

  return {
    counts,
    view() {
      const at = now();
      const running = node();
      const members = (running?.members() ?? []).filter(member => member.name !== name && member.incarnation > 0).slice(0, MOST_PEERS_SHOWN);
      const certified = signer?.roster.nodes(at) ?? [];
      const stats = running?.stats();
      return {
        self: self(at),
        peers: members.map(member => neighbours.peerOf(member, at)),
        sites: Math.max(1, new Set(certified.map(({ site }) => site)).size),
        hosts: Math.max(1, certified.length),
        keyGeneration: ring.keys().generation,
        keyIds: ring.ids(),
        health: stats?.health ?? 0,
        counts: { ...stats, ...counts, refusedAtAll: refusals.total },
      };
    },
  };
}
