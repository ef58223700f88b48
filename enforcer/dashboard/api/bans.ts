/** Bans: the list in pages, orders, what an order would hit, and many at once. */
import { ORIGINS, TIERS } from '@honeymesh/intel/evidence';
import type { FastifyPluginAsync } from 'fastify';
import * as z from 'zod';
import type { BanRow, Operations } from '../../control/operations.ts';
import { LINES_PER_IMPORT } from '../../control/protocol.ts';
import type { Contracts } from './contract.ts';
import { asked, banRow, dryRunReport, reason } from './schemas.ts';
import { type Serving, serve } from './serve.ts';

const ORDERS = ['createdAt', 'expiresAt', 'droppedPackets', 'target'] as const;

export const banContracts = {
  list: {
    name: 'listBans',
    method: 'GET',
    path: '/api/bans',
    about: 'Bans and shuns in pages, filtered',
    query: z.strictObject({
      target: asked.target.optional().meta({ description: 'Bans of it, around it and in it' }),
      tier: z.enum(TIERS).optional(),
      origin: z.enum(ORIGINS).optional(),
      reason: reason.optional(),
      text: z.string().max(64).optional().meta({ description: 'In the target or the note' }),
      sort: z.enum(ORDERS).default('createdAt'),
      descending: asked.flag.default(true),
      offset: z.coerce.number().int().min(0).max(10_000_000).default(0),
      limit: asked.limit(100, 10_000),
    }),
    answer: z.object({ rows: z.array(banRow).readonly(), total: z.int().meta({ description: 'That match, on all pages' }), offset: z.int() }),
  },
  add: {
    name: 'addBan',
    method: 'POST',
    path: '/api/bans',
    about: 'Bans by order; answers when the kernel enforces it and it is on disk',
    body: z.strictObject({ target: asked.target, ttl: asked.ttl.optional(), note: asked.note.optional() }),
    answer: banRow,
  },
  remove: {
    name: 'removeBan',
    method: 'DELETE',
    path: '/api/bans',
    about: 'Lifts the ban of a target and forgives it',
    query: z.strictObject({ target: asked.target }),
    answer: z.object({ removed: z.array(z.string()).readonly() }),
  },
  dryRun: {
    name: 'dryRunBan',
    method: 'GET',
    path: '/api/bans/dry-run',
    about: 'What a ban would hit, without banning: own sessions, what is allowed, what is banned already',
    query: z.strictObject({ target: asked.target }),
    answer: dryRunReport,
  },
  import: {
    name: 'importBans',
    method: 'POST',
    path: '/api/bans/import',
    about: 'Bans many: one target at the start of each line, # begins a comment',
    body: z.strictObject({ lines: z.array(z.string().max(256)).max(LINES_PER_IMPORT), ttl: asked.ttl.optional(), note: asked.note.optional() }),
    answer: z.object({ added: z.int(), refused: z.array(z.object({ line: z.int(), text: z.string(), why: z.string() })).readonly() }),
    longestBodyBytes: 2 * 1_024 * 1_024,
  },
} as const satisfies Contracts;

type BanOperations = Pick<Operations, 'listBans' | 'addBan' | 'removeBan' | 'dryRunBan' | 'importBans'>;

/**
 * Pages of one list come shortly after one another, and each would read the kernel's maps and sort 65,536 rows again. Kept for so long, and longer where that takes
 * long: it has a twentieth of the daemon's time at the most.
 */
const KEPT_MS = 1_000;
const KEPT_FOR_COST = 20;

type Sort = (typeof ORDERS)[number];

interface Snapshot {
  readonly rows: Promise<readonly BanRow[]>;
  readonly sorted: Map<string, readonly BanRow[]>;
  readonly atMs: number;
  costMs: number;
}

export function bansPlugin(operations: BanOperations, serving: Serving, clock: () => number = () => performance.now()): FastifyPluginAsync {
  let all: Snapshot | null = null;

  function snapshot(): Snapshot {
    const atMs = clock();
    if (all !== null && atMs - all.atMs <= Math.max(KEPT_MS, all.costMs * KEPT_FOR_COST)) return all;
    const made: Snapshot = { rows: operations.listBans({}), sorted: new Map(), atMs, costMs: 0 };
    made.costMs = clock() - atMs;
    made.rows.catch(() => {
      if (all === made) all = null;
    });
    all = made;
    return made;
  }

  async function everything(sort: Sort, descending: boolean): Promise<readonly BanRow[]> {
    const now = snapshot();
    const rows = await now.rows;
    const key = `${sort} ${descending}`;
    const known = now.sorted.get(key);
    if (known !== undefined) return known;
    const startedMs = clock();
    const sorted = rows.toSorted(by(sort, descending ? -1 : 1));
    now.sorted.set(key, sorted);
    now.costMs += clock() - startedMs;
    return sorted;
  }

  /** Whoever gave an order sees what it did. */
  async function changed<T>(order: Promise<T>): Promise<T> {
    try {
      return await order;
    } finally {
      all = null;
    }
  }

  return async app => {
    serve(
      app,
      banContracts.list,
      async ({ query }) => {
        const { target, tier, origin, reason: why, text, sort, descending, offset, limit } = query;
        const found =
          target === undefined ? await everything(sort, descending) : (await operations.listBans({ target })).toSorted(by(sort, descending ? -1 : 1));
        const wanted = text?.toLowerCase();
        const matching = found.filter(
          row =>
            (tier === undefined || row.tier === tier) &&
            (origin === undefined || row.origins.includes(origin)) &&
            (why === undefined || row.reasons.includes(why)) &&
            (wanted === undefined || row.target.includes(wanted) || row.note?.toLowerCase().includes(wanted) === true),
        );
        return { rows: matching.slice(offset, offset + limit), total: matching.length, offset };
      },
      serving,
    );
    serve(app, banContracts.add, ({ body }) => changed(operations.addBan(withoutAbsent(body))), serving);
    serve(app, banContracts.remove, ({ query }) => changed(operations.removeBan(query)), serving);
    serve(app, banContracts.dryRun, ({ query }) => operations.dryRunBan(query), serving);
    serve(app, banContracts.import, ({ body }) => changed(operations.importBans(withoutAbsent(body))), serving);
  };
}

/** Equal ones stay in the order of their targets: pages must not overlap. One without an end ends last. */
function by(sort: Sort, direction: 1 | -1): (one: BanRow, other: BanRow) => number {
  const key = (row: BanRow): string | number => (sort === 'expiresAt' ? (row.expiresAt ?? '~') : row[sort]);
  return (one, other) => {
    const [first, second] = [key(one), key(other)];
    if (first !== second) return first < second ? -direction : direction;
    return one.target < other.target ? -1 : one.target > other.target ? 1 : 0;
  };
}

type WithoutAbsent<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** `{note: undefined}` is not `{}` to the operations. */
export const withoutAbsent = <T extends object>(given: T): WithoutAbsent<T> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as WithoutAbsent<T>;
