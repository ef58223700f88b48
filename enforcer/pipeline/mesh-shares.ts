/**
 * What this host tells its peers: each decision that is for others, at once; and after a start what they were not told yet. The event log is the memory of
 * what was told, so that a restart repeats nothing, and forgets no lift.
 */
import { familyOf, isHostPrefix, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { Advice } from '@honeymesh/intel/advisories';
import type { Ban } from '@honeymesh/intel/bans';
import type { NewEvent, StoredEvent } from '@honeymesh/intel/events';
import { DAY_MS, MINUTE_MS, rfc3339, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { ADVICE_POLICY } from '../ledger/advice/advice.ts';
import { type Shared, sharedBy } from '../ledger/advice/share.ts';
import { sizeOf } from '../ledger/advice/signers.ts';
import type { Decision, Ledger } from '../ledger/decisions.ts';
import type { Store } from '../store/port.ts';
import type { Pipeline } from './pipeline.ts';

export interface MeshSharesOptions {
  /** share.never. */
  readonly never: readonly Prefix[];
}

export interface MeshSharesDeps {
  readonly ledger: Pick<Ledger, 'bans' | 'banOn'>;
  readonly store: Pick<Store, 'query'>;
  readonly pipeline: Pick<Pipeline, 'record'>;
  /** Tells the mesh; false: it was not told, and is told again when there is a mesh. */
  readonly share: (shared: readonly Shared[]) => Promise<boolean>;
  readonly now: () => UnixMs;
}

export interface MeshShares {
  decided(decisions: readonly Decision[]): void;
  /** Our advice went out: remembered, and an event for each target. `signer`: under which key. */
  sent(word: { readonly epoch: number; readonly seq: number; readonly advice: readonly Advice[] }, signer: string | null): void;
  /** There is a mesh (again), in which this host signs as `signer`. */
  catchUp(signer: string): Promise<void>;
  /** Every second. */
  tick(): void;
  /** What waits is for a mesh that this host is no member of any more. */
  forget(): void;
}

interface Told {
  readonly at: UnixMs;
  readonly until: UnixMs;
}

const MOST_WAITING = 65_536;
const AT_ONCE = 256;
/** Of the log, when it is asked what was told: a day of a host that bans 100,000 is more than it could tell. */
const MOST_READ = 50_000;
const PAGE = 10_000;
/** A member that has just started hears from its disk and its peers what it said before, and cannot take back what it does not know of yet. */
const RECALLED_MS = MINUTE_MS;
/**
 * Of what peers take from one signer in an hour. A host that joins with thousands of bans would else have told all that it may, and not be heard when it is
 * attacked a minute later.
 */
const CATCH_UP_SHARE = 0.25;
/** Clocks and rounding: an end so much later is no news. */
const SLACK_MS = 2 * SECOND_MS;

export function createMeshShares({ never }: MeshSharesOptions, { ledger, store, pipeline, share, now }: MeshSharesDeps): MeshShares {
  const waiting = new Map<Prefix, Shared>();
  const told = new Map<Prefix, Told>();
  /** Withdrawals that came before all that was said is known again: said once more then. */
  const again = new Map<Prefix, Shared>();
  let recalledAt: UnixMs | null = null;
  let rememberedFor: string | null = null;
  let sharing = false;

  function wait(shared: Shared): void {
    // The last word on a target is the one to say; a withdrawal is never left out.
    if (waiting.size >= MOST_WAITING && !waiting.has(shared.target) && shared.kind === 'advise') return;
    waiting.delete(shared.target);
    waiting.set(shared.target, shared);
    if (shared.kind === 'advise') again.delete(shared.target);
    else if (recalledAt !== null && again.size < MOST_WAITING) again.set(shared.target, shared);
  }

  async function flush(): Promise<void> {
    if (sharing) return;
    sharing = true;
    try {
      while (waiting.size > 0) {
        const batch = [...waiting.values()].slice(0, AT_ONCE);
        if (!(await share(batch))) return;
        for (const shared of batch) if (waiting.get(shared.target) === shared) waiting.delete(shared.target);
        recordWithdrawn(batch);
      }
    } finally {
      sharing = false;
    }
  }

  function recordWithdrawn(batch: readonly Shared[]): void {
    const events: NewEvent[] = [];
    for (const shared of batch) {
      if (shared.kind !== 'withdraw' || !told.delete(shared.target)) continue;
      const summary = `took back from the mesh what this host advised on ${shared.target}${shared.asError ? ', as an error' : ''}`;
      events.push({ ...eventOf(shared.target, now()), kind: 'withdrawal', summary, detail: { own: true, asError: shared.asError } });
    }
    if (events.length > 0) void pipeline.record(events);
  }

  /** What is over, and of no ban that holds. */
  function prune(at: UnixMs): void {
    for (const [target, { until }] of told) if (until <= at && ledger.banOn(target, at) === null) told.delete(target);
  }

  /** What the log says that was told as `signer` of the bans that hold, or within a day, and lifted since. */
  async function remember(signer: string): Promise<void> {
    const lifted = new Map<Prefix, boolean>();
    const oldest = ledger.bans().reduce((at, ban) => Math.min(at, ban.createdAt), now() - DAY_MS);
    told.clear();
    for (let read = 0, afterId = 0; read < MOST_READ; read += PAGE) {
      const page = await store.query({ kinds: ['advice-sent', 'withdrawal', 'lift'], since: unixMs(oldest), afterId, ascending: true, limit: PAGE });
      for (const event of page) replay(event, signer, lifted);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      afterId = last.id;
    }
    rememberedFor = signer;
    for (const [target, asError] of lifted) if (told.has(target)) wait({ kind: 'withdraw', target, asError });
  }

  function replay({ kind, at, target, detail = {} }: StoredEvent, signer: string, lifted: Map<Prefix, boolean>): void {
    if (target === undefined) return;
    if (kind === 'advice-sent' && detail.signer === signer) {
      told.set(target, { at, until: unixMs(Number(detail.until)) });
      lifted.delete(target);
    } else if (kind === 'withdrawal' && detail.own === true) {
      told.delete(target);
      lifted.delete(target);
    } else if (kind === 'lift' && (told.get(target)?.until ?? 0) > now()) lifted.set(target, detail.why === 'order');
  }

  /** Whether peers were not told of a ban as it is now. Advice holds a day at the most: what was told for the whole of it is not told longer. */
  function isNews({ target, createdAt }: Ban, expiresAt: UnixMs): boolean {
    const before = told.get(target);
    if (before === undefined || before.at < createdAt) return true;
    return before.until + SLACK_MS < Math.min(expiresAt, before.at + DAY_MS);
  }

  function newestUntold(at: UnixMs): readonly Shared[] {
    const left = { 4: ADVICE_POLICY.mostPerHour.ipv4 * CATCH_UP_SHARE, 6: ADVICE_POLICY.mostPerHour.ipv6 * CATCH_UP_SHARE };
    const newestFirst = [...ledger.bans()].sort((one, other) => other.createdAt - one.createdAt);
    return newestFirst.flatMap(ban => {
      const shared = sharedBy({ kind: 'ban', ban, change: 'new', because: null }, never);
      if (shared?.kind !== 'advise' || shared.expiresAt <= at || waiting.has(shared.target) || !isNews(ban, shared.expiresAt)) return [];
      left[familyOf(ban.target)] -= sizeOf(ban.target);
      return left[familyOf(ban.target)] < 0 ? [] : [shared];
    });
  }

  return {
    decided(decisions) {
      let any = false;
      for (const decision of decisions) {
        const shared = sharedBy(decision, never);
        if (shared === null) continue;
        wait(shared);
        any = true;
      }
      if (any) void flush();
    },
    sent({ epoch, seq, advice }, signer) {
      if (signer === null) return;
      const at = now();
      if (told.size > MOST_WAITING) prune(at);
      const events = advice.map(({ target, tier, reasons, ttlS }): NewEvent => {
        const until = unixMs(at + Math.min(ttlS * SECOND_MS, DAY_MS));
        told.set(target, { at, until });
        const summary = `advised the mesh to ban ${target} until ${rfc3339(until)}`;
        return { ...eventOf(target, at), kind: 'advice-sent', tier, reasons, summary, detail: { signer, epoch, sequence: seq, until } };
      });
      if (events.length > 0) void pipeline.record(events);
    },
    async catchUp(signer) {
      recalledAt = unixMs(now() + RECALLED_MS);
      for (const shared of waiting.values()) if (shared.kind === 'withdraw') again.set(shared.target, shared);
      if (rememberedFor !== signer) await remember(signer);
      for (const shared of waiting.values()) if (shared.kind === 'advise') waiting.delete(shared.target); // it is in the ledger, if it holds still
      for (const shared of newestUntold(now())) wait(shared);
      await flush();
    },
    tick() {
      if (recalledAt === null || now() < recalledAt) return;
      recalledAt = null;
      for (const shared of again.values()) waiting.set(shared.target, shared);
      again.clear();
      if (waiting.size > 0) void flush();
    },
    forget() {
      waiting.clear();
      again.clear();
    },
  };
}

const eventOf = (target: Prefix, at: UnixMs) =>
  ({ at, source: isHostPrefix(target) ? networkOf(target) : target, port: null, protocol: null, tier: null, reasons: [], origin: null, target }) as const;
