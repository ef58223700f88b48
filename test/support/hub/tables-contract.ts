/**
 * What the port promises, as cases that run on the model in memory and on DynamoDB: so the hub's other tests may believe the model. Every case has a partition
 * of its own, and a clock that it moves.
 */
import type { Tables, Write } from '#cloud/store/port.ts';

export interface Ground {
  readonly tables: Tables;
  /** A name that no other case uses. */
  readonly partition: string;
  /** Moves the clock, ms. */
  pass(ms: number): void;
  now(): number;
}

export interface Case {
  readonly name: string;
  readonly run: (ground: Ground) => Promise<unknown>;
  readonly gives: unknown;
}

const put = (thing: string, facet: string, more = {}): Write => ({ kind: 'put', table: 'peers', item: { thing, facet, ...more } });
const outcomeOf = async (result: ReturnType<Tables['transact']>): Promise<string> => {
  const settled = await result;
  return settled.kind === 'refused' ? `refused ${settled.failed.join()}` : settled.kind;
};

export const CASES: readonly Case[] = [
  {
    name: 'an item comes back as it was put, whatever it holds',
    run: async ({ tables, partition: thing }) => {
      await tables.put('peers', { thing, facet: 'x', text: 'a', number: 1.5, yes: true, bytes: Uint8Array.of(0, 255), list: ['a', 'b'] });
      const item = await tables.get('peers', { thing, facet: 'x' });
      const bytes = item?.bytes;
      return { ...item, thing: 0, bytes: bytes instanceof Uint8Array ? [...bytes] : bytes };
    },
    gives: { thing: 0, facet: 'x', text: 'a', number: 1.5, yes: true, bytes: [0, 255], list: ['a', 'b'] },
  },
  {
    name: 'absent: the first one only',
    run: async ({ tables, partition: thing }) => {
      const tries = [];
      for (let at = 0; at < 2; at++) tries.push(await tables.put('peers', { thing, facet: 'x', at }, [{ is: 'absent' }]));
      return [tries, (await tables.get('peers', { thing, facet: 'x' }))?.at];
    },
    gives: [[true, false], 0],
  },
  {
    name: 'what has ended is absent for reads and for conditions, though it was not removed',
    run: async ({ tables, partition: thing, pass, now }) => {
      await tables.put('peers', { thing, facet: 'x', version: 1, expiresAt: now() + 1_000 });
      const holds = async () => [
        (await tables.get('peers', { thing, facet: 'x' })) !== undefined,
        (await tables.query('peers', { partition: thing, limit: 5 })).length,
        (await tables.getMany('peers', [{ thing, facet: 'x' }])).length,
        await tables.put('peers', { thing, facet: 'x', version: 2, expiresAt: now() + 1_000 }, [{ is: 'equal', attribute: 'version', value: 1 }]),
      ];
      pass(1_000);
      const ended = await holds();
      return [ended, await tables.put('peers', { thing, facet: 'x', version: 3 }, [{ is: 'absent' }])];
    },
    gives: [[false, 0, 0, false], true],
  },
  {
    name: 'equal, less, more, absent-or-less',
    run: async ({ tables, partition: thing }) => {
      const tries = [];
      await tables.put('peers', { thing, facet: 'x', n: 5 });
      for (const value of [4, 5, 6]) {
        for (const is of ['equal', 'less', 'more', 'absent-or-less'] as const)
          tries.push(await tables.put('peers', { thing, facet: 'x', n: 5 }, [{ is, attribute: 'n', value }]));
      }
      const absent = [];
      for (const is of ['equal', 'less', 'more', 'absent-or-less'] as const)
        absent.push(await tables.put('peers', { thing, facet: is, n: 5 }, [{ is, attribute: 'n', value: 5 }]));
      return [tries.map(Number).join(''), absent.map(Number).join('')];
    },
    gives: ['001010000101', '0001'],
  },
  {
    name: 'names that DynamoDB reserves are names like others',
    run: async ({ tables, partition: thing }) => {
      await tables.put('peers', { thing, facet: 'x', number: 1, order: 1, version: 1, level: 1, at: 1, ttl: 1, bytes: 1, key: 1, name: 1, status: 1 });
      return tables.put('peers', { thing, facet: 'x', order: 2 }, [
        { is: 'less', attribute: 'order', value: 2 },
        { is: 'equal', attribute: 'status', value: 1 },
      ]);
    },
    gives: true,
  },
  {
    name: 'a query gives a range in order, from either end, so many',
    run: async ({ tables, partition: thing }) => {
      await tables.putMany(
        'peers',
        ['d', 'a', 'c', 'b', 'e'].map(facet => ({ thing, facet })),
      );
      const facets = async (range: object) => (await tables.query('peers', { partition: thing, limit: 9, ...range })).map(item => item.facet).join('');
      return [
        await facets({}),
        await facets({ from: 'b', to: 'd' }),
        await facets({ from: 'c' }),
        await facets({ to: 'b' }),
        await facets({ descending: true, limit: 2 }),
      ];
    },
    gives: ['abcde', 'bcd', 'cde', 'ab', 'ed'],
  },
  {
    name: 'a query goes on where what has ended fills its pages',
    run: async ({ tables, partition: thing, pass, now }) => {
      await tables.putMany(
        'peers',
        Array.from({ length: 60 }, (_, at) => ({ thing, facet: String(at + 100), ...(at < 50 ? { expiresAt: now() + 1 } : {}) })),
      );
      pass(10);
      return (await tables.query('peers', { partition: thing, limit: 5 })).map(item => item.facet);
    },
    gives: ['150', '151', '152', '153', '154'],
  },
  {
    name: 'many are put, got and removed, beyond what one request takes',
    run: async ({ tables, partition: thing }) => {
      const keys = Array.from({ length: 130 }, (_, at) => ({ thing, facet: String(at) }));
      await tables.putMany('peers', keys);
      const got = (await tables.getMany('peers', [...keys, ...keys.slice(0, 5), { thing, facet: 'none' }])).length;
      await tables.deleteMany('peers', keys.slice(0, 100));
      return [got, (await tables.getMany('peers', keys)).length];
    },
    gives: [130, 30],
  },
  {
    name: 'a transaction is all or nothing, and says which conditions failed',
    run: async ({ tables, partition: thing }) => {
      await tables.put('peers', { thing, facet: 'there', version: 1 });
      const absent = { if: [{ is: 'absent' }] } as const;
      const first = await outcomeOf(tables.transact([{ ...put(thing, 'new'), ...absent } as Write, { ...put(thing, 'there'), ...absent } as Write]));
      const nothing = await tables.get('peers', { thing, facet: 'new' });
      const check: Write = { kind: 'check', table: 'peers', key: { thing, facet: 'there' }, if: [{ is: 'equal', attribute: 'version', value: 1 }] };
      const second = await outcomeOf(tables.transact([put(thing, 'new'), check, { kind: 'delete', table: 'peers', key: { thing, facet: 'none' } }]));
      return [first, nothing === undefined, second, (await tables.get('peers', { thing, facet: 'new' })) !== undefined];
    },
    gives: ['refused 1', true, 'done', true],
  },
  {
    name: 'of many who want the same version one gets it',
    run: async ({ tables, partition: thing }) => {
      await tables.put('peers', { thing, facet: 'x', version: 1 });
      const next: Write = { kind: 'put', table: 'peers', item: { thing, facet: 'x', version: 2 }, if: [{ is: 'equal', attribute: 'version', value: 1 }] };
      const outcomes = await Promise.all(Array.from({ length: 20 }, (_, at) => tables.transact([next, put(thing, `won by ${at}`)])));
      const won = (await tables.query('peers', { partition: thing, from: 'won', to: 'wonz', limit: 50 })).length;
      return [outcomes.filter(({ kind }) => kind === 'done').length, won];
    },
    gives: [1, 1],
  },
  {
    name: 'a counter begins at 0 and loses nothing',
    run: async ({ tables, partition: thing, now }) => {
      const sums = await Promise.all(Array.from({ length: 10 }, () => tables.add('peers', { thing, facet: 'x' }, 'count', 2, now() + 60_000)));
      return [Math.max(...sums), new Set(sums).size, (await tables.get('peers', { thing, facet: 'x' }))?.count];
    },
    gives: [20, 10, 20],
  },
];
