/** What HM1 adds to what must hold: of intel, of goodbyes and of deaths that others tell. Compared with the truth about who said what. */
import { CLOCK_SKEW_MS, type KeyId } from '@honeymesh/intel/envelope';
import { SECOND_MS } from '@honeymesh/intel/time';
import type { MemberEvent, MemberView } from '#enforcer/mesh/protocol/core/outputs.ts';
import { suspicionTimeoutMs } from '#enforcer/mesh/protocol/core/suspicion.ts';
import { ACCUSERS } from '#enforcer/mesh/signed/claims.ts';
import { NOON } from '#test/support/hm1.ts';
import { endpointOf } from '#test/support/mesh-member.ts';
import type { Check } from './wire-checkers.ts';
import { type Hm1, type IntelHeard, itemOf, type Mind } from './wire-hm1.ts';
import { TRAITORS_EPOCHS } from './wire-villain.ts';
import type { SimNode, World } from './wire-world.ts';

export const HM1_CHECKERS = [
  'intel comes once',
  'intel is fresh',
  'intel is signed',
  'all hold what holds',
  'taken back is gone',
  'no eviction by few',
  'no stolen goodbye',
  'nobody is moved',
] as const;

/** For how long somebody's finding that a member is silent counts for the truth: as long as an accusation, and what the network takes. */
const ACCUSED_MS = 150_000;
/** Of the suspicion's least time: its clock may be half a percent fast. */
const PATIENCE = 0.98;
/** At the end nobody is asked about what ends within the skew of two clocks. */
const MARGIN_MS = 30 * SECOND_MS;

/** Of its two faces each may have seen another. (And whose key was replaced is not believed any more by who knows the new one.) */
const isTraitors = (item: string): boolean => Number(/ (\d+)\//.exec(item)?.[1]) >= TRAITORS_EPOCHS;

export function createHm1Checkers(world: Pick<World, 'nodes' | 'nowMs'>, hm1: Hm1, check: Check) {
  const delivered = new Set<string>();
  const suspected = new Map<string, number>();
  const isCertified = (name: string): boolean => hm1.minds.has(name);

  hm1.listeners.push((mind, heard) => {
    const { node } = mind;
    const item = itemOf(heard.kid, heard.epoch, heard.seq);
    const story = (): string => `${node.name} got ${item} of ${heard.signer.nodeName}`;
    const once = `${node.name} ${node.life} ${item}`;
    check('intel comes once', !delivered.has(once), () => `${story()} again`);
    delivered.add(once);
    const now = mind.now();
    const fresh = heard.issuedAt <= now + CLOCK_SKEW_MS && heard.endsAt > now && heard.endsAt <= heard.issuedAt + 24 * 3_600_000;
    check('intel is fresh', fresh, () => `${story()}, issued ${(now - heard.issuedAt) / 1000} s ago, which ends in ${(heard.endsAt - now) / 1000} s`);
    check('intel is signed', wasSaid(heard, item), () => `${story()}, which never said so`);
  });

  function wasSaid({ advice, withdrawals }: IntelHeard, item: string): boolean {
    return (hm1.truth.said.get(item) ?? []).some(
      said =>
        advice.every(one => said.advice.some(each => each.target === one.target && each.ttlS === one.ttlS && each.tier === one.tier)) &&
        withdrawals.every(one => said.withdrawals.some(each => each.epoch === one.epoch && each.seq === one.seq)),
    );
  }

  function buried(observer: SimNode, member: MemberView, nowMs: number): void {
    if (member.state === 'left') {
      const goodbye = hm1.truth.goodbyes.get(member.name) ?? -1;
      check(
        'no stolen goodbye',
        member.incarnation <= goodbye,
        () => `${observer.name} saw ${member.name} leave, which said goodbye to ${goodbye} at the most`,
      );
      return;
    }
    const accusers = [...(hm1.truth.accusers.get(member.name) ?? [])].filter(([who, atMs]) => who !== member.name && atMs > nowMs - ACCUSED_MS);
    const sinceMs = suspected.get(`${observer.name} of ${member.name}`);
    const waited = sinceMs !== undefined && nowMs - sinceMs >= PATIENCE * suspicionTimeoutMs(4, 1, 1000);
    const text = (): string => `${observer.name} buried ${member.name} at once on the word of ${accusers.map(([who]) => who).join(' and ') || 'nobody'}`;
    check('no eviction by few', waited || accusers.length >= ACCUSERS, text);
  }

  const held = (mind: Mind): readonly string[] => [...mind.holds].flatMap(([item, endsAt]) => (endsAt > NOON + world.nowMs + MARGIN_MS ? [item] : []));

  return {
    event(observer: SimNode, event: MemberEvent, nowMs: number): void {
      if (!('member' in event) || event.member === null || typeof event.member !== 'object' || observer.beside === null) return;
      const { member } = event;
      if (!isCertified(member.name) || member.name === observer.name) return;
      if (event.kind === 'suspect') suspected.set(`${observer.name} of ${member.name}`, nowMs);
      if (event.kind === 'leave') buried(observer, member, nowMs);
      // An address is taken when somebody joins. Where unsigned ones are members, too, a certificate counts from when it was first seen.
      if (event.kind !== 'join') return;
      if (hm1.mode === 'preferred' && hm1.minds.get(observer.name)?.roster?.wasCertified(member.name) !== true) return;
      const { address, port } = endpointOf(member.name);
      const there = `${member.address}` === `${address}` && member.port === port;
      check('nobody is moved', there, () => `${observer.name} holds ${member.name} at ${member.address}:${member.port}`);
    },
    agree(running: readonly SimNode[], to: Check): void {
      const minds = running.flatMap(node => hm1.minds.get(node.name) ?? []).filter(mind => mind.layer !== null);
      const now = new Set([...hm1.minds.values()].map(mind => mind.host.certificate.kid));
      const all = new Set(minds.flatMap(held).filter(item => now.has(item.split(' ')[0] as KeyId) && !isTraitors(item)));
      for (const mind of minds) {
        for (const item of all) to('all hold what holds', mind.holds.has(item), () => `${mind.node.name} lacks ${item}`);
        const own = mind.host.certificate.kid;
        for (const [name, said] of hm1.truth.said) {
          if (!name.startsWith(`${own} ${mind.epoch}/`)) continue;
          for (const back of said.flatMap(({ withdrawals }) => withdrawals))
            for (const other of minds)
              for (const target of back.targets) {
                const endsAt = other.holds.get(`${itemOf(own, back.epoch, back.seq)} ${target}`) ?? 0;
                to('taken back is gone', endsAt <= NOON + world.nowMs, () => `${other.node.name} holds ${target} still`);
              }
        }
      }
    },
  };
}
