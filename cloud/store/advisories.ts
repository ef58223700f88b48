/** The head, the numbered advisories, which batch became which number. A number, its advisory and its batch are one transaction. */
import { DAY_MS, MINUTE_MS } from '@honeymesh/intel/time';
import { unspent } from '../hub/governor.ts';
import type { Head } from '../hub/head.ts';
import { numberText } from '../hub/numbers.ts';
import { bytesOf, numberOf, textOf } from './fields.ts';
import type { Item, Key, Tables } from './port.ts';

export interface KeptAdvisory {
  readonly number: number;
  readonly bytes: Uint8Array;
}

export interface Ground {
  readonly head: Head | null;
  /** The advisory that the batch became, if it did. */
  readonly known: KeptAdvisory | null;
  /** How many listen, by the last count. */
  readonly listening: number;
}

export interface Advisories {
  head(): Promise<Head | null>;
  /** Begins a numbering where there is none. */
  begin(now: number): Promise<void>;
  /** What a new number needs, in one request. */
  forBatch(batch: string): Promise<Ground>;
  /** False: another one was faster, or the batch has a number. */
  commit(next: Head, advisory: { readonly batch: string; readonly bytes: Uint8Array; readonly expiresAt: number }, now: number): Promise<boolean>;
  /** Ascending; those whose content has ended are not among them. */
  range(epoch: number, from: number, to: number, most: number): Promise<readonly KeptAdvisory[]>;
  /** Urgent advice was left to the digest. */
  noteOverBudget(now: number): Promise<void>;
  wasOverBudget(): Promise<boolean>;
  keepListening(listening: number): Promise<void>;
  /** The object that holds the snapshot of a minute ago at the most. */
  snapshot(): Promise<KeptObject | null>;
  keepSnapshot(object: KeptObject, now: number): Promise<void>;
}

export interface KeptObject {
  readonly key: string;
  readonly bytes: number;
}

const HEAD: Key = { series: 'head', id: 'head' };
const OVER_BUDGET: Key = { series: 'head', id: 'over-budget' };
const LISTENING: Key = { series: 'head', id: 'listening' };
const SNAPSHOT: Key = { series: 'head', id: 'snapshot' };
const BATCH_LIFE_MS = 2 * DAY_MS;
/** Until it was counted. */
const PRESUMED_LISTENING = 1_000;

const batchKey = (batch: string): Key => ({ series: `batch#${batch}`, id: 'batch' });
const seriesOf = (epoch: number): string => `advisory#${numberText(epoch)}`;

export function createAdvisories(tables: Tables): Advisories {
  return {
    async head() {
      const item = await tables.get('advisories', HEAD);
      return item === undefined ? null : headOf(item);
    },
    begin: async now => void (await tables.put('advisories', { ...HEAD, epoch: now, number: 0, level: 0, at: 0 }, [{ is: 'absent' }])),
    async forBatch(batch) {
      const items = await tables.getMany('advisories', [HEAD, LISTENING, batchKey(batch)]);
      const [head, counted, given] = [HEAD, LISTENING, batchKey(batch)].map(({ series, id }) => items.find(item => item.series === series && item.id === id));
      const ground = { head: head === undefined ? null : headOf(head), listening: counted === undefined ? PRESUMED_LISTENING : numberOf(counted, 'listening') };
      if (given === undefined) return { ...ground, known: null };
      const [epoch, number] = [numberOf(given, 'epoch'), numberOf(given, 'number')];
      const advisory = await tables.get('advisories', { series: seriesOf(epoch), id: numberText(number) });
      return { ...ground, known: { number, bytes: advisory === undefined ? new Uint8Array(0) : bytesOf(advisory, 'bytes') } };
    },
    async commit(next, { batch, bytes, expiresAt }, now) {
      const { epoch, number, spent } = next;
      const result = await tables.transact([
        {
          kind: 'put',
          table: 'advisories',
          item: { ...HEAD, epoch, number, level: spent.level, at: spent.atMs },
          if: number === 1 ? [{ is: 'absent-or-less', attribute: 'number', value: 1 }] : [{ is: 'equal', attribute: 'number', value: number - 1 }],
        },
        { kind: 'put', table: 'advisories', item: { series: seriesOf(epoch), id: numberText(number), number, bytes, expiresAt }, if: [{ is: 'absent' }] },
        { kind: 'put', table: 'advisories', item: { ...batchKey(batch), epoch, number, expiresAt: now + BATCH_LIFE_MS }, if: [{ is: 'absent' }] },
      ]);
      return result.kind === 'done';
    },
    async range(epoch, from, to, most) {
      const items = await tables.query('advisories', { partition: seriesOf(epoch), from: numberText(from), to: numberText(to), limit: most });
      return items.map(item => ({ number: numberOf(item, 'number'), bytes: bytesOf(item, 'bytes') }));
    },
    noteOverBudget: async now => void (await tables.put('advisories', { ...OVER_BUDGET, expiresAt: now + 2 * MINUTE_MS })),
    wasOverBudget: async () => (await tables.get('advisories', OVER_BUDGET)) !== undefined,
    keepListening: async listening => void (await tables.put('advisories', { ...LISTENING, listening })),
    async snapshot() {
      const item = await tables.get('advisories', SNAPSHOT);
      return item === undefined ? null : { key: textOf(item, 'key'), bytes: numberOf(item, 'bytes') };
    },
    keepSnapshot: async ({ key, bytes }, now) => void (await tables.put('advisories', { ...SNAPSHOT, key, bytes, expiresAt: now + MINUTE_MS })),
  };
}

const headOf = (item: Item): Head => ({
  epoch: numberOf(item, 'epoch'),
  number: numberOf(item, 'number'),
  spent: { ...unspent, level: numberOf(item, 'level'), atMs: numberOf(item, 'at') },
});
