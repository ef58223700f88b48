/** The records of advice by what they are about, with the day on which each is forgotten. Whatever is put or forgotten is told as a change for the disk. */
import type { Prefix } from '@honeymesh/intel/address';
import { createPrefixTable } from '@honeymesh/intel/prefix-table';
import type { UnixMs } from '@honeymesh/intel/time';
import { createDeadlines } from '../deadlines.ts';
import type { LedgerChange } from '../decisions.ts';
import type { AdvicePolicy } from './advice.ts';
import {
  type AdviceRecord,
  adviceKey,
  type ImmuneRecord,
  type SignerRecord,
  type TargetRecord,
  type Vote,
  type WithdrawnRecord,
  withdrawnKey,
} from './records.ts';
import { forgottenAt, stranger } from './signers.ts';

export interface AdviceMemory {
  readonly targets: number;
  target(target: Prefix): TargetRecord | undefined;
  /** Records of all targets that cover `target`, equal it or lie in it. */
  overlapping(target: Prefix): readonly TargetRecord[];
  within(target: Prefix): readonly TargetRecord[];
  isImmune(target: Prefix, now: UnixMs): boolean;
  signer(account: string, now: UnixMs): SignerRecord;
  withdrawn(signer: string, target: Prefix | null, epoch: number, sequence: number): WithdrawnRecord | undefined;
  /** Targets on which this account said something that is remembered, at most `limit`. */
  spokenOf(account: string, limit?: number): readonly Prefix[];
  /** Targets on which what this envelope said still stands. */
  saidIn(signer: string, epoch: number, sequence: number): readonly Prefix[];
  /** Who said something of most targets. */
  loudest(): string | undefined;
  put(record: AdviceRecord, changes: LedgerChange[]): void;
  forget(record: AdviceRecord, changes: LedgerChange[]): void;
  /** Forgets what is of no use any more. Nothing waits for that, so nobody need be woken for it. */
  clean(now: UnixMs, changes: LedgerChange[]): void;
  all(): readonly AdviceRecord[];
}

/** A signer's withdrawals that are remembered: more than that, and the oldest is forgotten, which only the signer's own word suffers from. */
const WITHDRAWN_AT_MOST = 4_096;

export function createAdviceMemory(policy: AdvicePolicy, records: readonly AdviceRecord[]): AdviceMemory {
  const held = new Map<string, AdviceRecord>();
  const targets = createPrefixTable<TargetRecord>();
  const immune = createPrefixTable<ImmuneRecord>();
  const spoken = new Map<string, Set<Prefix>>();
  const envelopes = new Map<string, Set<Prefix>>();
  const withdrawnBy = new Map<string, Set<string>>();
  const ends = createDeadlines();

  function endOf(record: AdviceRecord): number {
    if (record.kind === 'signer') return forgottenAt(record, policy.trust);
    if (record.kind !== 'target') return record.until;
    const { votes, counted, heldSince, heldUntil } = record;
    const voted = votes.map(vote => vote.expiresAt);
    const rested = counted.map(entry => entry.since + policy.longestMs + policy.restMs);
    return Math.max(heldSince === null ? heldUntil + policy.restMs : Number.POSITIVE_INFINITY, ...voted, ...rested);
  }

  const speakersOf = ({ votes, counted }: TargetRecord): readonly string[] => [...votes, ...counted].map(entry => entry.account);

  function index(record: AdviceRecord): void {
    if (record.kind === 'target') {
      targets.set(record.target, record);
      for (const account of speakersOf(record)) add(spoken, account, record.target);
      for (const vote of record.votes) add(envelopes, envelopeOf(vote), record.target);
    } else if (record.kind === 'immune') immune.set(record.target, record);
    else if (record.kind === 'withdrawn') add(withdrawnBy, record.account, adviceKey(record));
  }

  function unindex(record: AdviceRecord): void {
    if (record.kind === 'target') {
      targets.delete(record.target);
      for (const account of speakersOf(record)) remove(spoken, account, record.target);
      for (const vote of record.votes) remove(envelopes, envelopeOf(vote), record.target);
    } else if (record.kind === 'immune') immune.delete(record.target);
    else if (record.kind === 'withdrawn') remove(withdrawnBy, record.account, adviceKey(record));
  }

  function enter(record: AdviceRecord): string {
    const key = adviceKey(record);
    const before = held.get(key);
    held.set(key, record);
    // For how long it was held, and no more: thousands end in one moment.
    if (record.kind === 'target' && before?.kind === 'target' && before.votes === record.votes && before.counted === record.counted) {
      targets.set(record.target, record);
    } else {
      if (before !== undefined) unindex(before);
      index(record);
    }
    ends.set(key, endOf(record));
    return key;
  }

  function forget(record: AdviceRecord, changes: LedgerChange[]): void {
    const key = adviceKey(record);
    const known = held.get(key);
    if (known === undefined) return;
    held.delete(key);
    unindex(known);
    ends.delete(key);
    changes.push({ kind: 'remove-advice', key });
  }

  for (const record of records) enter(record);

  return {
    get targets() {
      return targets.size;
    },
    target: targets.get,
    overlapping: target => [...targets.covering(target).filter(record => record.target !== target), ...targets.within(target)],
    within: target => targets.within(target),
    isImmune: (target, now) => [...immune.covering(target), ...immune.within(target)].some(record => record.until > now),
    signer(account, now) {
      const record = held.get(`signer ${account}`);
      return record?.kind === 'signer' ? record : stranger(account, now);
    },
    withdrawn(signer, target, epoch, sequence) {
      const record = held.get(withdrawnKey(signer, target, epoch, sequence));
      return record?.kind === 'withdrawn' ? record : undefined;
    },
    spokenOf(account, limit = Number.POSITIVE_INFINITY) {
      const found: Prefix[] = [];
      for (const target of spoken.get(account) ?? []) {
        if (found.length >= limit) break;
        found.push(target);
      }
      return found;
    },
    saidIn: (signer, epoch, sequence) => [...(envelopes.get(envelopeOf({ signer, epoch, sequence })) ?? [])],
    loudest() {
      let most: string | undefined;
      for (const [account, of] of spoken) if (most === undefined || of.size > (spoken.get(most)?.size ?? 0)) most = account;
      return most;
    },
    put(record, changes) {
      const key = enter(record);
      changes.push({ kind: 'put-advice', record });
      if (record.kind !== 'withdrawn') return;
      const keys = withdrawnBy.get(record.account) ?? new Set();
      if (keys.size <= WITHDRAWN_AT_MOST) return;
      const oldest = held.get([...keys][0] ?? key);
      if (oldest !== undefined) forget(oldest, changes);
    },
    forget,
    clean(now, changes) {
      for (let next = ends.first(); next !== undefined && next.at <= now; next = ends.first()) forget(held.get(next.key) as AdviceRecord, changes);
    },
    all: () => [...held.values()],
  };
}

const envelopeOf = ({ signer, epoch, sequence }: Pick<Vote, 'signer' | 'epoch' | 'sequence'>): string => `${signer} ${epoch}:${sequence}`;

function add<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

function remove<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}
