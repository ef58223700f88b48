/** Envelopes, and with them what each transaction of the ingest writes: the span's record, guards of the spans beside it, what waits for the digest. */
import type { KeyId } from '@honeymesh/intel/envelope';
import { DAY_MS } from '@honeymesh/intel/time';
import { emptySpan, type SpanRecord, type Taken } from '../hub/admit.ts';
import type { Identity } from '../hub/identity.ts';
import { type EnvelopeRef, itemId, refText } from '../hub/numbers.ts';
import type { Span } from '../hub/pace.ts';
import { bytesOf, numberOf, textOf } from './fields.ts';
import type { Versioned } from './peers.ts';
import type { Clause, Item, Tables, Write } from './port.ts';
import { decodeSpan, encodeSpan, spanText } from './span-format.ts';

/** An envelope as it is kept. */
export interface KeptEnvelope {
  readonly ref: EnvelopeRef;
  readonly thing: string;
  readonly site: string;
  readonly votesFrom: number;
  readonly envelope: Uint8Array;
  readonly expiresAt: number;
}

export interface KeptSpan extends Versioned<SpanRecord> {
  /** When it was last written, ms; 0: never. */
  readonly writtenAt: number;
}

export interface Envelopes {
  spans(thing: string, spans: readonly Span[]): Promise<ReadonlyMap<string, KeptSpan>>;
  spanWrite(thing: string, span: Span, record: Versioned<SpanRecord>, now: number): Write;
  spanCheck(thing: string, span: Span, version: number): Write;
  /** The envelope, once; and that it waits. */
  envelopeWrites(taken: Taken, by: Identity): readonly [Write, Write];
  get(refs: readonly EnvelopeRef[]): Promise<readonly KeptEnvelope[]>;
  /** For a snapshot. */
  all(most: number): Promise<readonly KeptEnvelope[]>;
  /** What no advisory has passed on yet. A key that has much waiting gets about its share of a minute: none waits behind another's flood. */
  waiting(most: number): Promise<readonly EnvelopeRef[]>;
  /** Of these, those that wait. */
  stillWaiting(refs: readonly EnvelopeRef[]): Promise<readonly EnvelopeRef[]>;
  passedOn(refs: readonly EnvelopeRef[]): Promise<void>;
}

/** Records of the pace live so long after they changed: nothing older than a day is taken any more. */
const SPAN_LIFE_MS = 2 * DAY_MS;
/** What waits is spread over so many partitions. */
export const WAITING_SHARDS = 4;
/** In a minute an honest host says 120 things at the most. */
const SHARE_OF_A_KEY = 128;

const unchanged = (version: number): readonly Clause[] => (version === 0 ? [{ is: 'absent' }] : [{ is: 'equal', attribute: 'version', value: version }]);

const waitingKey = (ref: EnvelopeRef): { readonly series: string; readonly id: string } => ({
  series: waitingSeries(Number.parseInt(ref.kid.slice(-1), 16) % WAITING_SHARDS),
  id: refText(ref),
});
const waitingSeries = (shard: number): string => `waiting#${shard}`;

export function createEnvelopes(tables: Tables): Envelopes {
  async function waitingIn(shard: number, most: number): Promise<readonly EnvelopeRef[]> {
    const found: EnvelopeRef[] = [];
    let from = '0';
    while (found.length < most) {
      const items = await tables.query('advisories', { partition: waitingSeries(shard), from, limit: SHARE_OF_A_KEY });
      const refs = items.map(refOf);
      found.push(...refs);
      const [first, last] = [refs[0], refs.at(-1)];
      if (first === undefined || last === undefined || refs.length < SHARE_OF_A_KEY) break;
      // All of one key: it had its share, on to the next one ('$' sorts after '#'). Else on after the last.
      from = first.kid === last.kid ? `${last.kid}$` : `${refText(last)}!`;
    }
    return found;
  }

  return {
    async spans(thing, spans) {
      const items = await tables.getMany(
        'paces',
        spans.map(span => ({ thing, span: spanText(span) })),
      );
      const found = new Map(items.map(item => [textOf(item, 'span'), item]));
      return new Map(
        spans.map(span => {
          const item = found.get(spanText(span));
          const record = item === undefined ? emptySpan : decodeSpan(span, bytesOf(item, 'record'));
          const kept =
            item === undefined ? { version: 0, writtenAt: 0 } : { version: numberOf(item, 'version'), writtenAt: numberOf(item, 'expiresAt') - SPAN_LIFE_MS };
          return [spanText(span), { value: record, ...kept }];
        }),
      );
    },
    spanWrite: (thing, span, { value, version }, now) => ({
      kind: 'put',
      table: 'paces',
      item: { thing, span: spanText(span), record: encodeSpan(span, value), version: version + 1, expiresAt: now + SPAN_LIFE_MS },
      if: unchanged(version),
    }),
    spanCheck: (thing, span, version) => ({ kind: 'check', table: 'paces', key: { thing, span: spanText(span) }, if: unchanged(version) }),
    envelopeWrites({ envelope, expiresAt }, { thing, site, votesFrom }) {
      const ref = { kid: envelope.kid, id: itemId(envelope.epoch, envelope.seq) };
      return [
        { kind: 'put', table: 'envelopes', item: { ...ref, thing, site, votesFrom, bytes: envelope.bytes, expiresAt }, if: [{ is: 'absent' }] },
        { kind: 'put', table: 'advisories', item: { ...waitingKey(ref), kid: ref.kid, envelope: ref.id, expiresAt } },
      ];
    },
    get: async refs =>
      (
        await tables.getMany(
          'envelopes',
          refs.map(({ kid, id }) => ({ kid, id })),
        )
      ).map(keptOf),
    all: async most => (await tables.scan('envelopes', most)).map(keptOf),
    async waiting(most) {
      const found: EnvelopeRef[] = [];
      for (let shard = 0; shard < WAITING_SHARDS; shard++) {
        found.push(...(await waitingIn(shard, Math.ceil(most / WAITING_SHARDS))));
      }
      return found;
    },
    stillWaiting: async refs => (await tables.getMany('advisories', refs.map(waitingKey))).map(refOf),
    passedOn: refs => tables.deleteMany('advisories', refs.map(waitingKey)),
  };
}

const refOf = (item: Item): EnvelopeRef => ({ kid: textOf(item, 'kid') as KeyId, id: textOf(item, 'envelope') });

/** Of an item of the table, read or out of its stream. */
export const keptOf = (item: Item): KeptEnvelope => ({
  ref: { kid: textOf(item, 'kid') as KeyId, id: textOf(item, 'id') },
  thing: textOf(item, 'thing'),
  site: textOf(item, 'site'),
  votesFrom: numberOf(item, 'votesFrom'),
  envelope: bytesOf(item, 'bytes'),
  expiresAt: numberOf(item, 'expiresAt'),
});
