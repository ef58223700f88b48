/** What others advised, as events of the log: who said it, on which way, and what was made of it. */
import { isHostPrefix, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { NewEvent } from '@honeymesh/intel/events';
import type { UnixMs } from '@honeymesh/intel/time';
import type { AdviceEffect, Speaker } from '../ledger/advice/advice.ts';
import type { Decision } from '../ledger/decisions.ts';

type OfAdvice = Extract<Decision, { kind: 'advice-accepted' | 'advice-refused' | 'withdrawal' }>;

const EFFECTS: Readonly<Record<AdviceEffect, string>> = {
  banned: 'enough others say so',
  provisional: 'for some minutes, until others say so too',
  counted: 'not enough others say so',
  'own-ban': 'banned by this host already',
};

const TARGETS_NAMED = 64;

const sourceOf = (target: Prefix): NewEvent['source'] => (isHostPrefix(target) ? networkOf(target) : target);
const whoOf = ({ signer, site, path }: Speaker): string => `${signer}${site === null ? '' : ` (${site})`} by ${path === 'hub' ? 'the hub' : 'mesh'}`;
const detailOf = ({ signer, site, path, certified }: Speaker): Readonly<Record<string, unknown>> => ({ signer, site, path, certified });

export function adviceEvent(decision: OfAdvice, now: UnixMs): NewEvent {
  if (decision.kind === 'withdrawal') {
    const { withdrawal, targets } = decision;
    const [only] = targets.length === 1 ? targets : [];
    const what = only ?? withdrawal.target ?? `${targets.length} targets`;
    return {
      ...NOBODYS,
      at: now,
      kind: 'withdrawal',
      source: withdrawal.target === null ? null : sourceOf(withdrawal.target),
      origin: withdrawal.path === 'hub' ? 'hub' : 'peer',
      summary: `${whoOf(withdrawal)} took back its advice on ${what}${withdrawal.asError ? ' as an error' : ''}${targets.length === 0 ? ', of which nothing held' : ''}`,
      ...(withdrawal.target === null ? {} : { target: withdrawal.target }),
      detail: {
        ...detailOf(withdrawal),
        epoch: withdrawal.epoch,
        sequence: withdrawal.sequence,
        targets: targets.slice(0, TARGETS_NAMED),
        asError: withdrawal.asError,
      },
    };
  }
  const { advice } = decision;
  const common = {
    ...NOBODYS,
    at: now,
    kind: decision.kind,
    source: sourceOf(advice.target),
    tier: advice.tier,
    reasons: advice.reasons,
    origin: advice.path === 'hub' ? ('hub' as const) : ('peer' as const),
    target: advice.target,
  };
  const detail = { ...detailOf(advice), epoch: advice.epoch, sequence: advice.sequence, issuedAt: advice.issuedAt, expiresAt: advice.expiresAt };
  const said = `${whoOf(advice)} advises to ban ${advice.target}`;
  if (decision.kind === 'advice-accepted') {
    const { effect, wouldBan } = decision;
    return { ...common, summary: `${said}: ${EFFECTS[effect]}`, ...(wouldBan ? { wouldBan } : {}), detail: { ...detail, effect } };
  }
  const { why, text, untold } = decision;
  const more = untold === 0 ? '' : ` (${untold} more of it were refused before and not told)`;
  return { ...common, summary: `${said}: refused, ${text}${more}`, detail: { ...detail, refused: why, ...(untold === 0 ? {} : { untold }) } };
}

const NOBODYS = { port: null, protocol: null, tier: null, reasons: [] } as const;

/** What the sentence on a ban says of who advised it. */
export function adviceWords({ advised, advisers = [] }: Ban): string {
  if (advised === undefined) return '';
  const who = [...new Set(advisers.map(({ site, signer }) => site ?? signer))].slice(0, 4).join(', ');
  return `, ${advised.provisional ? 'provisionally, ' : ''}as advised by ${who}`;
}

export const advisedDetail = ({ advised, advisers }: Ban): Readonly<Record<string, unknown>> => ({
  ...(advised === undefined ? {} : { advised }),
  ...(advisers === undefined ? {} : { advisers }),
});
