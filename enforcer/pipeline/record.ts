/** Decisions as events of the log: each tells who, why, on which evidence, and what was done. */
import { isHostPrefix, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { AllowEntry, Ban } from '@honeymesh/intel/bans';
import type { EventKind, NewEvent } from '@honeymesh/intel/events';
import { unreachable } from '@honeymesh/intel/parsed';
import type { Sighting } from '@honeymesh/intel/sightings';
import { formatDuration, type UnixMs } from '@honeymesh/intel/time';
import type { BanChange, CompletedBy, Decision } from '../ledger/decisions.ts';
import { adviceEvent, adviceWords, advisedDetail } from './record-advice.ts';

/** The events of one decision, in order: what was seen, then what was decided. */
export function eventsOf(decision: Decision, now: UnixMs): readonly NewEvent[] {
  switch (decision.kind) {
    case 'ban': {
      const { ban, because } = decision;
      if (decision.change !== 'completed') return [...seen(because, ban.target), banned(ban, because, now, banSummary(ban, decision.change, now))];
      const { why = 'time' } = decision;
      const event = banned(ban, because, now, `${banSummary(ban, 'new', now)}: ${COMPLETED_BY[why]}`);
      return [...seen(because, ban.target), { ...event, detail: { ...event.detail, completed: why } }];
    }
    case 'aggregate': {
      const summary = `banned ${decision.ban.target} instead of ${decision.replaces.length} addresses in it ${untilText(decision.ban, now)}`;
      return [...seen(decision.because, decision.ban.target), banned(decision.ban, decision.because, now, summary)];
    }
    case 'lift':
      return [{ ...ended('lift', decision.ban, now, `lifted the ban of ${decision.ban.target}: ${LIFTED_BY[decision.why]}`), detail: { why: decision.why } }];
    case 'advice-accepted':
    case 'advice-refused':
    case 'withdrawal':
      return [adviceEvent(decision, now)];
    case 'expire':
      return [ended('expire', decision.ban, now, `the ban of ${decision.ban.target} ended`)];
    case 'evict':
      return [ended('evict', decision.ban, now, `gave up the ban of ${decision.ban.target} to make room for ${decision.for}`)];
    case 'allow':
      return [allowEvent(decision.entry, now, `allowed ${decision.entry.target}: ${decision.entry.why}`, true)];
    case 'disallow':
      return [allowEvent(decision.entry, now, `no longer allowed ${decision.entry.target} (${decision.entry.why})`, false)];
    case 'record':
      return [
        { ...asEvent(decision.sighting), ...(decision.wouldBan ? { wouldBan: true } : {}), detail: { ...decision.sighting.detail, recorded: decision.why } },
      ];
    case 'refuse': // an order's refusal goes back to the operator and is no event
      return decision.because === null ? [] : [{ ...asEvent(decision.because), detail: { ...decision.because.detail, notBanned: decision.why } }];
    default:
      return unreachable(decision);
  }
}

export const asEvent = (sighting: Sighting): NewEvent => ({
  at: sighting.at,
  kind: sighting.kind,
  source: sighting.source,
  port: sighting.port,
  protocol: sighting.protocol,
  tier: sighting.tier,
  reasons: sighting.reasons,
  origin: sighting.origin,
  summary: sighting.summary,
  ...(sighting.detail === undefined ? {} : { detail: sighting.detail }),
});

const seen = (because: Sighting | null, target: Prefix): readonly NewEvent[] => (because === null ? [] : [{ ...asEvent(because), target }]);

const sourceOf = (target: Prefix): NewEvent['source'] => (isHostPrefix(target) ? networkOf(target) : target);

function untilText(ban: Ban, now: UnixMs): string {
  return ban.expiresAt === null ? 'until lifted' : `for ${formatDuration(Math.round((ban.expiresAt - now) / 1000) * 1000)}`;
}

function banSummary(ban: Ban, change: Exclude<BanChange, 'completed'>, now: UnixMs): string {
  const note = ban.note === undefined ? '' : `: ${ban.note}`;
  if (ban.confined !== undefined) {
    const verb = { new: 'confined', prolonged: 'still confines', strengthened: 'has more against', shortened: 'still confines' }[change];
    const left = formatDuration(Math.max(0, Math.ceil((ban.confined.fullAt - now) / 1000) * 1000));
    return `${verb} ${ban.target}${change === 'strengthened' ? ', confined' : ''} to the traps for up to ${left} (${evidenceText(ban)})${note}`;
  }
  const verb = { new: 'banned', prolonged: 'prolonged the ban of', strengthened: 'strengthened the ban of', shortened: 'shortened the ban of' }[change];
  return `${verb} ${ban.target} ${untilText(ban, now)} (${evidenceText(ban)})${adviceWords(ban)}${note}`;
}

const evidenceText = (ban: Ban): string => `${ban.reasons.join(', ')}, ${ban.tier}${ban.offences > 1 ? `, offence ${ban.offences}` : ''}`;

const LIFTED_BY = { order: 'by order', allowed: 'it is allowed now', withdrawn: 'what others advised does not hold any more' } as const;

const COMPLETED_BY: Readonly<Record<CompletedBy, string>> = {
  ports: 'it had touched three traps',
  'session-end': 'its session ended',
  sessions: 'it had as many sessions as study grants',
  content: 'hostile content',
  evidence: 'more was seen of it elsewhere',
  order: 'by order',
  time: 'its time was up',
};

function banned(ban: Ban, because: Sighting | null, now: UnixMs, summary: string): NewEvent {
  return {
    at: now,
    kind: 'ban',
    source: because?.source ?? sourceOf(ban.target),
    port: because?.port ?? null,
    protocol: because?.protocol ?? null,
    tier: ban.tier,
    reasons: ban.reasons,
    origin: because?.origin ?? ban.origins.at(-1) ?? null,
    summary,
    target: ban.target,
    detail: { expiresAt: ban.expiresAt, offences: ban.offences, ...(ban.confined === undefined ? {} : { confined: ban.confined }), ...advisedDetail(ban) },
  };
}

function ended(kind: EventKind, ban: Ban, now: UnixMs, summary: string): NewEvent {
  return {
    at: now,
    kind,
    source: sourceOf(ban.target),
    port: null,
    protocol: null,
    tier: ban.tier,
    reasons: ban.reasons,
    origin: null,
    summary,
    target: ban.target,
  };
}

function allowEvent(entry: AllowEntry, now: UnixMs, summary: string, allowed: boolean): NewEvent {
  return {
    at: now,
    kind: 'allow',
    source: sourceOf(entry.target),
    port: null,
    protocol: null,
    tier: null,
    reasons: [],
    origin: entry.cause === 'operator' || entry.cause === 'config' ? 'operator' : null,
    summary,
    target: entry.target,
    detail: { cause: entry.cause, allowed },
  };
}
