/** `honeymesh explain ADDRESS`: what holds for a source just now, and the chain of reasons that led there. */
import { type Address, bitsOf, contains, hostPrefix, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { StoredEvent } from '@honeymesh/intel/events';
import { formatDuration, rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { ExplainReport, ExplainStep } from '../control/operations.ts';
import type { Kernel, KernelView } from '../kernel/port.ts';
import { sharable as sharableBan } from '../ledger/advice/share.ts';
import type { Ledger } from '../ledger/decisions.ts';
import { toEventRow } from '../store/exports.ts';
import type { Store } from '../store/port.ts';
import { allowRow, type BanList } from './ban-list.ts';
import { receiptRows } from './receipt-rows.ts';
import { adviceWords } from './record-advice.ts';

export interface ExplainDeps {
  readonly ledger: Ledger;
  readonly kernel: Kernel;
  readonly store: Store;
  readonly banList: BanList;
  readonly enforcing: () => boolean;
  readonly firstDropOf: (source: Address) => UnixMs | null;
  /** Prefixes whose bans stay on this host. */
  readonly neverShared: readonly Prefix[];
  readonly now: () => UnixMs;
}

const MOST_EVENTS = 200;

/** Gathers the ledger's, the kernel's and the log's word on one address. */
export async function explain(address: Address, deps: ExplainDeps): Promise<ExplainReport> {
  const { ledger, kernel, store, now } = deps;
  const at = now();
  const ban = ledger.banOn(address, at);
  const allow = ledger.allowOn(address);
  const view = kernel.view(address);
  const events = await eventsAbout(store, address, ban);
  const { verdict, because } = judge(deps, ban, allow?.why ?? null, view, at);
  return {
    address,
    verdict,
    because,
    ban: ban === null ? null : deps.banList.row(ban),
    allow: allow === null ? null : allowRow(allow),
    kernel: kernelWords(view),
    steps: steps(events, view, deps.firstDropOf(address)),
    events: events.map(toEventRow),
    receipts: events.flatMap(receiptRows),
    lifts: whatLifts(bansOn(address, ledger, at), view, at),
    sharable: sharable(address, ban, deps.neverShared),
  };
}

async function eventsAbout(store: Store, address: Address, ban: Ban | null): Promise<readonly StoredEvent[]> {
  const own = await store.query({ source: address, limit: MOST_EVENTS });
  // A ban by prefix or /64 is told in events whose source is the prefix.
  const ofTarget =
    ban === null || ban.target === hostPrefix(address) ? [] : await store.query({ source: ban.target, kinds: ['ban', 'lift', 'evict'], limit: MOST_EVENTS });
  const all = new Map([...own, ...ofTarget.filter(event => event.target === ban?.target || event.source === ban?.target)].map(event => [event.id, event]));
  return [...all.values()].sort((one, other) => one.at - other.at || one.id - other.id).slice(-MOST_EVENTS);
}

function judge(deps: ExplainDeps, ban: Ban | null, allowedWhy: string | null, view: KernelView, at: UnixMs): Pick<ExplainReport, 'verdict' | 'because'> {
  const observed = deps.enforcing() ? '' : ' (but nothing is dropped now: mode observe, or a pause)';
  if (allowedWhy !== null || view.rule?.action === 'allow')
    return { verdict: 'allowed', because: `on the allow-list: ${allowedWhy ?? view.rule?.target ?? ''}` };
  const held = view.ban !== null || view.rule?.action === 'deny';
  if (ban?.confined !== undefined && view.ban?.confined === true) {
    const until = `reaches traps only, until ${rfc3339(ban.confined.fullAt)} at the latest, and is banned then`;
    return { verdict: 'confined', because: `${ban.target} ${until}: ${ban.reasons.join(', ')} (${ban.tier})${observed}` };
  }
  if (ban !== null && held)
    return { verdict: 'dropped', because: `${ban.target} is banned: ${ban.reasons.join(', ')} (${ban.tier})${adviceWords(ban)}${observed}` };
  if (ban !== null) return { verdict: 'free', because: `${ban.target} is banned in the ledger, but the kernel does not hold it: "honeymesh status" tells why` };
  if (view.shun !== null && view.shun.expiresAt > at) {
    const why = `${view.shun.reasons.join(', ')} (E0); ends in ${formatDuration(Math.ceil((view.shun.expiresAt - at) / 1000) * 1000)}${observed}`;
    if (view.provenAt !== null)
      return { verdict: 'policed', because: `has completed handshakes with real services, so only what scans or floods is dropped: ${why}` };
    return { verdict: 'shunned', because: `new connections are dropped: ${why}` };
  }
  return { verdict: 'free', because: 'neither banned, shunned nor allowed' };
}

function kernelWords(view: KernelView): Readonly<Record<string, unknown>> {
  return {
    ban: view.ban === null ? null : { ...view.ban, expiresAt: view.ban.expiresAt === null ? null : rfc3339(view.ban.expiresAt) },
    rule: view.rule === null ? null : { ...view.rule, expiresAt: view.rule.expiresAt === null ? null : rfc3339(view.rule.expiresAt) },
    shun: view.shun === null ? null : { ...view.shun, expiresAt: rfc3339(view.shun.expiresAt) },
    provenAt: view.provenAt === null ? null : rfc3339(view.provenAt),
    watched: view.watched,
    ports: view.ports.map(probe => ({ ...probe, at: rfc3339(probe.at) })),
  };
}

function steps(events: readonly StoredEvent[], view: KernelView, firstDropAt: UnixMs | null): readonly ExplainStep[] {
  const chain: { at: UnixMs; what: string }[] = events.map(event => ({
    at: event.at,
    what: event.wouldBan === true ? `${event.summary} (would have been banned: observed only)` : event.summary,
  }));
  if (firstDropAt !== null) chain.push({ at: firstDropAt, what: 'the kernel dropped its first packet' });
  chain.sort((one, other) => one.at - other.at);
  const told: ExplainStep[] = chain.map(step => ({ at: rfc3339(step.at), what: step.what }));
  const dropped = view.ban?.droppedPackets ?? view.rule?.droppedPackets ?? view.shun?.droppedPackets;
  if (dropped !== undefined) told.push({ at: null, what: `dropped since: ${dropped} packets` });
  return told;
}

/** Each ban that holds for an address, the narrowest first: one alone being lifted would not let it in. */
const bansOn = (address: Address, ledger: Ledger, at: UnixMs): readonly Ban[] =>
  ledger
    .bans()
    .filter(ban => contains(ban.target, address) && (ban.expiresAt === null || ban.expiresAt > at))
    .sort((one, other) => bitsOf(other.target) - bitsOf(one.target));

function whatLifts(bans: readonly Ban[], view: KernelView, at: UnixMs): string | null {
  if (bans.length > 0) {
    const orders = bans.map(ban => `"honeymesh bans remove ${ban.target}"`).join(' and ');
    const [only] = bans.length === 1 ? bans : [];
    if (only !== undefined) return only.expiresAt === null ? orders : `${orders}, or time: it ends at ${rfc3339(only.expiresAt)}`;
    const lasting = bans.find(ban => ban.expiresAt === null);
    const last = Math.max(...bans.map(ban => ban.expiresAt ?? 0)) as UnixMs;
    return lasting === undefined ? `${orders}, or time: the last ends at ${rfc3339(last)}` : orders;
  }
  if (view.shun === null || view.shun.expiresAt <= at) return null;
  return `"honeymesh bans remove ${view.shun.target}", or time: it ends at ${rfc3339(view.shun.expiresAt)}`;
}

function sharable(address: Address, ban: Ban | null, neverShared: readonly Prefix[]): ExplainReport['sharable'] {
  const inside = neverShared.find(prefix => contains(prefix, address));
  if (inside !== undefined) return { yes: false, why: `${inside} is in share.never: it means something else on each network` };
  if (ban === null) return { yes: false, why: 'there is no ban' };
  return sharableBan(ban, neverShared);
}
