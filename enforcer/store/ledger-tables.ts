/** The book of bans on disk: changes are written in the transaction of the events that tell of them. Rows are checked when read. */

import { parsePrefix } from '@honeymesh/intel/address';
import { ALLOW_CAUSES, type AllowCause, type AllowEntry, type Ban } from '@honeymesh/intel/bans';
import { ORIGINS, type Origin, TIERS, type Tier } from '@honeymesh/intel/evidence';
import { unreachable } from '@honeymesh/intel/parsed';
import { reasonMask, reasonsOf } from '@honeymesh/intel/reasons';
import { unixMs } from '@honeymesh/intel/time';
import type Database from 'better-sqlite3';
import { type AdviceRecord, adviceKey, adviceText, readAdvice, readAdvisers } from '../ledger/advice/records.ts';
import type { LedgerChange, LedgerSnapshot, Offence } from '../ledger/decisions.ts';
import { DamagedLog } from './failures.ts';

export const NOTHING: LedgerSnapshot = { bans: [], allowed: [], offences: [] };

export interface LedgerWriter {
  /** Within the caller's transaction. */
  apply(change: LedgerChange): void;
}

/** What a change is about: of two with the same key only the later one matters. */
export function changeKey(change: LedgerChange): string {
  switch (change.kind) {
    case 'put-ban':
      return `ban ${change.ban.target}`;
    case 'remove-ban':
      return `ban ${change.target}`;
    case 'put-allow':
      return `allow ${change.entry.target}`;
    case 'remove-allow':
      return `allow ${change.target}`;
    case 'put-offence':
      return `offence ${change.offence.target}`;
    case 'remove-offence':
      return `offence ${change.target}`;
    case 'put-advice':
      return `advice ${adviceKey(change.record)}`;
    case 'remove-advice':
      return `advice ${change.key}`;
    default:
      return unreachable(change);
  }
}

/** Of several changes about the same thing the last one, in the order of these. */
export function lastWords(changes: readonly LedgerChange[]): readonly LedgerChange[] {
  if (changes.length < 2) return changes;
  const last = new Map<string, LedgerChange>();
  for (const change of changes) {
    const key = changeKey(change);
    last.delete(key); // so that the order is that of the last word about each
    last.set(key, change);
  }
  return [...last.values()];
}

export function ledgerWriter(db: Database.Database): LedgerWriter {
  const putBan = db.prepare(
    // Not OR REPLACE: that would take the row and its index entry out and write both again
    `INSERT INTO bans (target, tier, reasons, origins, created_at, expires_at, offences, note, confined_since, full_at, advice)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (target) DO UPDATE SET tier = excluded.tier, reasons = excluded.reasons, origins = excluded.origins, created_at = excluded.created_at,
       expires_at = excluded.expires_at, offences = excluded.offences, note = excluded.note, confined_since = excluded.confined_since,
       full_at = excluded.full_at, advice = excluded.advice`,
  );
  const removeBan = db.prepare('DELETE FROM bans WHERE target = ?');
  const putAllow = db.prepare('INSERT OR REPLACE INTO allowed (target, cause, why, since) VALUES (?, ?, ?, ?)');
  const removeAllow = db.prepare('DELETE FROM allowed WHERE target = ?');
  const putOffence = db.prepare('INSERT OR REPLACE INTO offences (target, count, last_ended_at) VALUES (?, ?, ?)');
  const removeOffence = db.prepare('DELETE FROM offences WHERE target = ?');
  const putAdvice = db.prepare('INSERT OR REPLACE INTO advice (key, record) VALUES (?, ?)');
  const removeAdvice = db.prepare('DELETE FROM advice WHERE key = ?');
  return {
    apply(change) {
      switch (change.kind) {
        case 'put-ban': {
          const { target, tier, reasons, origins, createdAt, expiresAt, offences, note, confined, advised, advisers } = change.ban;
          putBan.run(
            target,
            tier,
            reasonMask(reasons),
            origins.join(' '),
            whole(createdAt),
            expiresAt === null ? null : whole(expiresAt),
            whole(offences),
            note ?? null,
            confined === undefined ? null : whole(confined.since),
            confined === undefined ? null : whole(confined.fullAt),
            advised === undefined && advisers === undefined ? null : JSON.stringify({ advised, advisers }),
          );
          return;
        }
        case 'remove-ban':
          removeBan.run(change.target);
          return;
        case 'put-allow':
          putAllow.run(change.entry.target, change.entry.cause, change.entry.why, whole(change.entry.since));
          return;
        case 'remove-allow':
          removeAllow.run(change.target);
          return;
        case 'put-offence':
          putOffence.run(change.offence.target, whole(change.offence.count), whole(change.offence.lastEndedAt));
          return;
        case 'remove-offence':
          removeOffence.run(change.target);
          return;
        case 'put-advice':
          putAdvice.run(adviceKey(change.record), adviceText(change.record));
          return;
        case 'remove-advice':
          removeAdvice.run(change.key);
          return;
        default:
          unreachable(change);
      }
    },
  };
}

// STRICT refuses 1.5 in an INTEGER column, and with it the whole transaction: times from a division are no reason to lose a ban
const whole = (value: number): number => Math.trunc(value);

/** Rows that are leapt over at a page that cannot be read, and how often in a row: a page holds about 30 rows. */
const LEAP_ROWS = 8;
const MOST_LEAPS = 500;

/** What can be read of the ledger, and how many rows or pages could not. With `damaged`, what lies behind a broken page is read too. */
export function readLedger(db: Database.Database, { damaged = false } = {}): { readonly ledger: LedgerSnapshot; readonly unreadable: number } {
  let unreadable = 0;
  const read = <T>(table: string, parse: (row: Row) => T | undefined): T[] => {
    const found: T[] = [];
    let after = 0;
    for (let leaps = 0; leaps < MOST_LEAPS; ) {
      try {
        for (const row of db.prepare<[number], Row>(`SELECT rowid AS row, * FROM ${table} NOT INDEXED WHERE rowid > ? ORDER BY rowid`).iterate(after)) {
          // A broken tree can lead back to where we were, for ever
          if (!(Number(row.row) > after)) throw new DamagedLog(`the rows of ${table} are out of order`);
          after = Number(row.row);
          leaps = 0;
          const value = parse(row);
          if (value === undefined) unreadable++;
          else found.push(value);
        }
        break;
      } catch (error) {
        if (!damaged) throw error;
        unreadable++;
        leaps++;
        after += LEAP_ROWS;
      }
    }
    return found;
  };
  const ledger = { bans: read('bans', banOf), allowed: read('allowed', allowOf), offences: read('offences', offenceOf) };
  // A damaged log may be of a version that knew no advice.
  const known = db.prepare<[], number>("SELECT count(*) FROM sqlite_schema WHERE name = 'advice'").pluck().get() === 1;
  const advice = known ? read('advice', adviceOf) : [];
  return { ledger: advice.length === 0 ? ledger : { ...ledger, advice }, unreadable };
}

/** The changes that write a whole ledger into an empty file. */
export const changesOf = (ledger: LedgerSnapshot): readonly LedgerChange[] => [
  ...ledger.bans.map(ban => ({ kind: 'put-ban', ban }) as const),
  ...ledger.allowed.map(entry => ({ kind: 'put-allow', entry }) as const),
  ...ledger.offences.map(offence => ({ kind: 'put-offence', offence }) as const),
  ...(ledger.advice ?? []).map(record => ({ kind: 'put-advice', record }) as const),
];

type Row = Readonly<Record<string, unknown>>;

function banOf(row: Row): Ban | undefined {
  const target = parsePrefix(String(row.target));
  const origins = String(row.origins).split(' ');
  const { tier, created_at: createdAt, expires_at: expiresAt, offences, reasons, note } = row;
  if (!target.ok || !TIERS.includes(tier as Tier) || !origins.every(origin => ORIGINS.includes(origin as Origin))) return undefined;
  if (!isWhole(createdAt) || !(expiresAt === null || isWhole(expiresAt)) || !isWhole(offences) || !isWhole(reasons)) return undefined;
  return {
    target: target.value,
    tier: tier as Tier,
    reasons: reasonsOf(reasons),
    origins: origins as Origin[],
    createdAt: unixMs(createdAt),
    expiresAt: expiresAt === null ? null : unixMs(expiresAt),
    offences,
    ...confinementOf(row),
    ...readAdvisers(row.advice),
    ...(typeof note === 'string' ? { note } : {}),
  };
}

/** Columns that a log of the first version lacks. What is no confinement that the ledger could have made is a full ban: nobody gets out of one by an edit. */
function confinementOf({ tier, expires_at: expiresAt, confined_since: since, full_at: fullAt }: Row): Pick<Ban, 'confined'> {
  if (!isWhole(since) || !isWhole(fullAt) || !isWhole(expiresAt) || tier === 'operator') return {};
  return since < fullAt && fullAt < expiresAt ? { confined: { since: unixMs(since), fullAt: unixMs(fullAt) } } : {};
}

/** A row whose key is not that of its record would never be taken out again. */
function adviceOf(row: Row): AdviceRecord | undefined {
  const record = typeof row.record === 'string' ? readAdvice(row.record) : undefined;
  return record !== undefined && adviceKey(record) === row.key ? record : undefined;
}

function allowOf(row: Row): AllowEntry | undefined {
  const target = parsePrefix(String(row.target));
  const { cause, why, since } = row;
  if (!target.ok || !ALLOW_CAUSES.includes(cause as AllowCause) || typeof why !== 'string' || !isWhole(since)) return undefined;
  return { target: target.value, cause: cause as AllowCause, why, since: unixMs(since) };
}

function offenceOf(row: Row): Offence | undefined {
  const target = parsePrefix(String(row.target));
  const { count, last_ended_at: lastEndedAt } = row;
  if (!target.ok || !isWhole(count) || !isWhole(lastEndedAt)) return undefined;
  return { target: target.value, count, lastEndedAt: unixMs(lastEndedAt) };
}

const isWhole = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value);
