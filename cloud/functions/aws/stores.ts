import { type Advisories, createAdvisories } from '../../store/advisories.ts';
import { createEnvelopes, type Envelopes } from '../../store/envelopes.ts';
import { createPeers, type Peers } from '../../store/peers.ts';
import type { Tables } from '../../store/port.ts';
import { createSightings, type Sightings } from '../../store/sightings.ts';
import { awsTables } from './tables.ts';

export interface Stores {
  readonly tables: Tables;
  readonly peers: Peers;
  readonly envelopes: Envelopes;
  readonly sightings: Sightings;
  readonly advisories: Advisories;
}

/** All stores on the tables of this function; one that it was not given fails when it is used. */
export function awsStores(): Stores {
  const tables = awsTables();
  return {
    tables,
    peers: createPeers(tables),
    envelopes: createEnvelopes(tables),
    sightings: createSightings(tables),
    advisories: createAdvisories(tables),
  };
}
