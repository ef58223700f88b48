/** What is remembered of advice, one record a thing, as it is kept on disk. Read back it is checked: a file may hold anything. */
import { type Prefix, parsePrefix } from '@honeymesh/intel/address';
import { ADVICE_PATHS, type AdvicePath, type Adviser, type Ban } from '@honeymesh/intel/bans';
import { type Reason, reasonMask, reasonsOf } from '@honeymesh/intel/reasons';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';

/** One signer's word on a target: its newest. */
export interface Vote {
  readonly account: string;
  readonly signer: string;
  readonly site: string | null;
  readonly path: AdvicePath;
  readonly epoch: number;
  readonly sequence: number;
  readonly issuedAt: UnixMs;
  readonly expiresAt: UnixMs;
  readonly tier: 'E1' | 'E2';
  readonly reasons: readonly Reason[];
}

/** Whose word held a target, from when on: it counts for a day from then, and for nothing on the day after. */
export interface Counted {
  readonly account: string;
  readonly site: string | null;
  readonly since: UnixMs;
}

export interface TargetRecord {
  readonly kind: 'target';
  readonly target: Prefix;
  readonly votes: readonly Vote[];
  readonly counted: readonly Counted[];
  /** How long advice has held it, in pieces less than a day apart, and up to when that was reckoned. */
  readonly heldMs: number;
  /** Since when it is held now; null: not now. */
  readonly heldSince: UnixMs | null;
  readonly heldUntil: UnixMs;
}

export interface WithdrawnRecord {
  readonly kind: 'withdrawn';
  readonly account: string;
  readonly signer: string;
  /** null: one envelope, all of it. */
  readonly target: Prefix | null;
  readonly epoch: number;
  readonly sequence: number;
  readonly until: UnixMs;
}

export interface ImmuneRecord {
  readonly kind: 'immune';
  readonly target: Prefix;
  readonly until: UnixMs;
}

/** A signer: its trust as of `trustAt`, and what it named lately: [slot, IPv4 addresses, IPv6 /64s]. */
export interface SignerRecord {
  readonly kind: 'signer';
  readonly account: string;
  readonly trust: number;
  readonly trustAt: UnixMs;
  readonly named: readonly (readonly [slot: number, ipv4: number, ipv6: number])[];
}

export type AdviceRecord = TargetRecord | WithdrawnRecord | ImmuneRecord | SignerRecord;

export const withdrawnKey = (signer: string, target: Prefix | null, epoch: number, sequence: number): string =>
  `withdrawn ${signer} ${target ?? `${epoch}:${sequence}`}`;

/** What a record is about: of two with the same key the later one holds. */
export function adviceKey(record: AdviceRecord): string {
  switch (record.kind) {
    case 'target':
    case 'immune':
      return `${record.kind} ${record.target}`;
    case 'withdrawn':
      return withdrawnKey(record.signer, record.target, record.epoch, record.sequence);
    case 'signer':
      return `signer ${record.account}`;
  }
}

/** As one line of JSON; reasons as their mask. */
export function adviceText(record: AdviceRecord): string {
  return JSON.stringify(record.kind === 'target' ? { ...record, votes: record.votes.map(vote => ({ ...vote, reasons: reasonMask(vote.reasons) })) } : record);
}

/** Undefined: no record of ours. Never throws. */
export function readAdvice(text: string): AdviceRecord | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return isRow(found) ? recordOf(found) : undefined;
  } catch {
    return undefined; // not JSON
  }
}

type Row = Readonly<Record<string, unknown>>;

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);
const isWhole = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 256;
const isSite = (value: unknown): value is string | null => value === null || isText(value);

function targetOf(value: unknown): Prefix | undefined {
  const target = isText(value) ? parsePrefix(value) : undefined;
  return target?.ok === true ? target.value : undefined;
}

function all<T>(rows: unknown, read: (row: unknown) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(rows)) return undefined;
  const found: T[] = [];
  for (const row of rows) {
    const value = read(row);
    if (value === undefined) return undefined;
    found.push(value);
  }
  return found;
}

function recordOf(row: Row): AdviceRecord | undefined {
  const { kind, account, signer, epoch, sequence, until, trust, trustAt, heldMs, heldSince, heldUntil } = row;
  const target = targetOf(row.target);
  if (kind === 'immune') return target !== undefined && isWhole(until) ? { kind, target, until: unixMs(until) } : undefined;
  if (kind === 'target') {
    const votes = all(row.votes, voteOf);
    const counted = all(row.counted, countedOf);
    if (target === undefined || votes === undefined || counted === undefined || !isWhole(heldMs) || !isWhole(heldUntil)) return undefined;
    if (!(heldSince === null || isWhole(heldSince))) return undefined;
    return { kind, target, votes, counted, heldMs, heldSince: heldSince === null ? null : unixMs(heldSince), heldUntil: unixMs(heldUntil) };
  }
  if (!isText(account)) return undefined;
  if (kind === 'withdrawn') {
    if (!isText(signer) || !isWhole(epoch) || !isWhole(sequence) || !isWhole(until) || (target === undefined && row.target !== null)) return undefined;
    return { kind, account, signer, target: target ?? null, epoch, sequence, until: unixMs(until) };
  }
  if (kind !== 'signer') return undefined;
  const named = all(row.named, slotOf);
  if (named === undefined || !isWhole(trustAt)) return undefined;
  if (typeof trust !== 'number' || !(trust >= 0 && trust <= 1)) return undefined;
  return { kind, account, trust, trustAt: unixMs(trustAt), named };
}

/** What a ban's row says of advice. A ban by advice that cannot be read is dropped to nothing: it holds as an own one, and ends when it ends. */
export function readAdvisers(text: unknown): Pick<Ban, 'advised' | 'advisers'> {
  if (typeof text !== 'string') return {};
  try {
    const found: unknown = JSON.parse(text);
    if (!isRow(found)) return {};
    const { advised } = found;
    const advisers = all(found.advisers, adviserOf);
    const alone = isRow(advised) && isWhole(advised.since) ? { since: unixMs(advised.since), provisional: advised.provisional === true } : undefined;
    return { ...(alone === undefined ? {} : { advised: alone }), ...(advisers === undefined ? {} : { advisers }) };
  } catch {
    return {}; // not JSON
  }
}

function adviserOf(row: unknown): Adviser | undefined {
  if (!isRow(row)) return undefined;
  const { signer, site, path, at } = row;
  if (!isText(signer) || !isSite(site) || !ADVICE_PATHS.includes(path as AdvicePath) || !isWhole(at)) return undefined;
  return { signer, site, path: path as AdvicePath, at: unixMs(at) };
}

function voteOf(row: unknown): Vote | undefined {
  if (!isRow(row)) return undefined;
  const { account, signer, site, path, epoch, sequence, issuedAt, expiresAt, tier, reasons } = row;
  if (!isText(account) || !isText(signer) || !isSite(site) || !ADVICE_PATHS.includes(path as AdvicePath)) return undefined;
  if (!isWhole(epoch) || !isWhole(sequence) || !isWhole(issuedAt) || !isWhole(expiresAt) || !isWhole(reasons)) return undefined;
  if (tier !== 'E1' && tier !== 'E2') return undefined;
  const times = { issuedAt: unixMs(issuedAt), expiresAt: unixMs(expiresAt) };
  return { account, signer, site, path: path as AdvicePath, epoch, sequence, ...times, tier, reasons: reasonsOf(reasons) };
}

function countedOf(row: unknown): Counted | undefined {
  return isRow(row) && isText(row.account) && isSite(row.site) && isWhole(row.since)
    ? { account: row.account, site: row.site, since: unixMs(row.since) }
    : undefined;
}

function slotOf(row: unknown): readonly [number, number, number] | undefined {
  return Array.isArray(row) && row.length === 3 && row.every(isWhole) ? (row as [number, number, number]) : undefined;
}
