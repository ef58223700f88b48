/** Rows of who says what of a target: one for each peer and one for what it took back, and one of what was passed on as urgent. */
import type { Prefix } from '@honeymesh/intel/address';
import type { KeyId } from '@honeymesh/intel/envelope';
import { unixMs } from '@honeymesh/intel/time';
import type { Sighting, TakenBack, TargetState } from '../hub/corroborate.ts';
import type { EnvelopeRef } from '../hub/numbers.ts';
import { numberOf, textOf } from './fields.ts';
import type { Item, Tables } from './port.ts';

export interface Sightings {
  keep(seen: readonly { readonly target: Prefix; readonly sighting: Sighting }[]): Promise<void>;
  takeBack(taken: readonly { readonly target: Prefix; readonly by: TakenBack; readonly expiresAt: number }[]): Promise<void>;
  /** A whole envelope was taken back: for one that comes after its withdrawal. */
  takeBackWhole(refs: readonly EnvelopeRef[], expiresAt: number): Promise<void>;
  takenBackWhole(refs: readonly EnvelopeRef[]): Promise<readonly EnvelopeRef[]>;
  of(target: Prefix): Promise<TargetState>;
  announce(targets: readonly { readonly target: Prefix; readonly firstE2: boolean; readonly quorum: boolean; readonly expiresAt: number }[]): Promise<void>;
}

const ANNOUNCED = 'announced';
const PEER = 'peer#';
const BACK = 'back#';
/** Rows of one target that are read: more agree than anybody needs. */
const MOST_ROWS = 512;

const wholeSeries = (kid: KeyId): string => `whole#${kid}`;

export function createSightings(tables: Tables): Sightings {
  return {
    keep: seen =>
      tables.putMany(
        'sightings',
        lastOfEach(
          seen.map(({ target, sighting: { kid, site, tier, id, votesFrom, expiresAt } }) => ({ target, by: PEER + kid, site, tier, id, votesFrom, expiresAt })),
        ),
      ),
    takeBack: taken =>
      tables.putMany(
        'sightings',
        lastOfEach(
          [...taken]
            .sort((one, other) => (one.by.upTo < other.by.upTo ? -1 : 1))
            .map(({ target, by, expiresAt }) => ({ target, by: BACK + by.kid, upTo: by.upTo, expiresAt })),
        ),
      ),
    takeBackWhole: (refs, expiresAt) =>
      tables.putMany(
        'sightings',
        refs.map(({ kid, id }) => ({ target: wholeSeries(kid), by: id, kid, expiresAt })),
      ),
    async takenBackWhole(refs) {
      const items = await tables.getMany(
        'sightings',
        refs.map(({ kid, id }) => ({ target: wholeSeries(kid), by: id })),
      );
      return items.map(item => ({ kid: textOf(item, 'kid') as KeyId, id: textOf(item, 'by') }));
    },
    async of(target) {
      const rows = await tables.query('sightings', { partition: target, limit: MOST_ROWS });
      const announced = rows.find(row => row.by === ANNOUNCED);
      return {
        sightings: rows.filter(row => textOf(row, 'by').startsWith(PEER)).map(sightingOf),
        takenBack: rows
          .filter(row => textOf(row, 'by').startsWith(BACK))
          .map(row => ({ kid: textOf(row, 'by').slice(BACK.length) as KeyId, upTo: textOf(row, 'upTo') })),
        announced: { firstE2: announced?.firstE2 === true, quorum: announced?.quorum === true },
      };
    },
    announce: targets =>
      tables.putMany(
        'sightings',
        targets.map(({ target, firstE2, quorum, expiresAt }) => ({ target, by: ANNOUNCED, firstE2, quorum, expiresAt })),
      ),
  };
}

/** A batch may name an item once only: the last word of a peer on a target. */
function lastOfEach<T extends { readonly target: string; readonly by: string }>(rows: readonly T[]): readonly T[] {
  return [...new Map(rows.map(row => [`${row.target} ${row.by}`, row])).values()];
}

const sightingOf = (row: Item): Sighting => ({
  kid: textOf(row, 'by').slice(PEER.length) as KeyId,
  site: textOf(row, 'site'),
  tier: row.tier === 'E2' ? 'E2' : 'E1',
  id: textOf(row, 'id'),
  votesFrom: unixMs(numberOf(row, 'votesFrom')),
  expiresAt: unixMs(numberOf(row, 'expiresAt')),
});
