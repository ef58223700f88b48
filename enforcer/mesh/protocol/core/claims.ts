/**
 * What is believed of members: memberlist's rules for alive, suspect and dead, where the higher incarnation wins and only the accused may raise its
 * own. Where they go beyond memberlist's a comment says so.
 */
import { PLAUSIBLE_LEAD } from '@honeymesh/intel/incarnations';
import type { PushedMember } from '../messages.ts';
import type { Context } from './context.ts';
import { type Endpoint, endpointOf, sameBytes, sameEndpoint } from './endpoint.ts';
import type { Alive, Dead, Suspect } from './hooks.ts';
import type { Mail } from './mail.ts';
import { aliveOf, isGone, type Member, viewOf } from './member-table.ts';
import { MAX_INCARNATION, MAX_META_BYTES, MAX_NAME_BYTES } from './options.ts';
import { createSuspicion, paceMs, suspicionLimits } from './suspicion.ts';
import { areSane, VERSION_BYTES } from './versions.ts';

export interface Claims {
  /** Our own entry, from the start on. */
  readonly self: Member;
  alive(claim: Alive, nowMs: number, exchange?: Endpoint): void;
  suspect(claim: Suspect, nowMs: number): void;
  dead(claim: Dead, nowMs: number): void;
  merge(pushed: readonly PushedMember[], from: Endpoint, nowMs: number): void;
  /** A suspicion of our own failure detector. */
  accuse(name: string, incarnation: number, nowMs: number): void;
  /** Announces ourselves, with what is new. */
  announce(nowMs: number): void;
  updateMeta(meta: Uint8Array): void;
  /** Our own death notice, from us: a leave. `finished` when it was gossiped. */
  leave(nowMs: number, finished: () => void): void;
}

/** So many, on average, tell an accuser that its suspect is gone. */
const TELL_ACCUSER = 3;

export function createClaims(context: Context, mail: Mail): Claims {
  const { options, deps, table, alarms, news, awareness } = context;
  const hooks = deps.hooks ?? {};
  let ownMeta = options.meta;
  let proclaimedAtMs = Number.NEGATIVE_INFINITY;
  const self = table.add(options.name, options.advertise, ownMeta, options.versions);

  const isSelf = (name: string): boolean => name === options.name;
  const spread = (claim: Alive | Suspect | Dead, finished?: () => void): void => {
    const bytes = deps.sizeOf(claim);
    // Could only be a foreign one with a long name and a long meta: believed, not passed on.
    if (bytes > mail.longestBytes()) {
      finished?.();
      return;
    }
    news.add({ name: claim.node, message: claim, bytes, ...(finished === undefined ? {} : { finished }) });
  };

  function absolve(member: Member): void {
    member.suspicion = null;
    alarms.cancel(`suspicion ${member.name}`);
  }

  function setState(member: Member, state: Member['state'], nowMs: number): void {
    member.state = state;
    member.stateSinceMs = nowMs;
  }

  function ownAlive(incarnation: number): Alive {
    self.incarnation = incarnation;
    self.meta = hooks.meta?.(incarnation, ownMeta) ?? ownMeta;
    context.tell({ kind: 'incarnation', incarnation });
    return aliveOf(self);
  }

  /** Somebody has us wrong: we say so with a higher incarnation. Saturates where memberlist wraps to 0 and is shut out for good. */
  function refute(accused: number): void {
    if (accused >= MAX_INCARNATION) {
      context.refuse('implausible-incarnation', { node: self.name });
      return;
    }
    awareness.add(1);
    spread(ownAlive(Math.max(self.incarnation, accused) + 1));
  }

  /** A member restarted with less than it had, and nobody told it (memberlist#311): it hears from us what it has to refute. */
  function remind(member: Member, nowMs: number): void {
    // Right after the death old news of its life is still about.
    if (nowMs - member.stateSinceMs < 2 * paceMs(options) || nowMs - member.remindedAtMs < paceMs(options)) return;
    member.remindedAtMs = nowMs;
    mail.plainly([noticeOf(member)], member);
  }

  /** Somebody suspects whom we know to be gone: it missed the news, and alone it would wait out the longest suspicion. About three of us tell it. */
  function inform(claim: Suspect, member: Member, nowMs: number): void {
    const accuser = table.get(claim.from);
    if (accuser === undefined || accuser.state !== 'alive' || isSelf(claim.from) || deps.random.below(table.list.length) >= TELL_ACCUSER) return;
    if (nowMs - member.remindedAtMs < paceMs(options)) return;
    member.remindedAtMs = nowMs;
    mail.plainly([noticeOf(member)], accuser);
  }

  function noticeOf(member: Member): Dead {
    return { kind: 'dead', incarnation: member.incarnation, node: member.name, from: member.state === 'left' ? member.name : options.name };
  }

  function faultOf(claim: Alive): 'impossible-versions' | 'bad-name' | 'bad-address' | 'meta-too-long' | 'implausible-incarnation' | null {
    if (!areSane(claim.versions)) return 'impossible-versions';
    if (claim.node.length === 0 || claim.node.length > MAX_NAME_BYTES) return 'bad-name';
    if ((claim.address.length !== 4 && claim.address.length !== 16) || claim.port === 0) return 'bad-address';
    if (claim.meta.length > MAX_META_BYTES) return 'meta-too-long';
    return claim.incarnation > MAX_INCARNATION ? 'implausible-incarnation' : null;
  }

  function known(claim: Alive, nowMs: number): { readonly member: Member; readonly moved: boolean } | null {
    const member = table.get(claim.node);
    if (member === undefined) {
      if (table.list.length < options.maxMembers) return { member: table.add(claim.node, endpointOf(claim), claim.meta, claim.versions), moved: false };
      context.refuse('table-full', { node: claim.node });
      return null;
    }
    if (sameEndpoint(member.endpoint, claim)) return { member, moved: false };
    const reclaimed = options.deadNodeReclaimMs > 0 && member.state === 'dead' && nowMs - member.stateSinceMs > options.deadNodeReclaimMs;
    if (member.state === 'left' || reclaimed) return { member, moved: true };
    context.tell({ kind: 'conflict', member: viewOf(member), other: endpointOf(claim) });
    return null;
  }

  function alive(claim: Alive, nowMs: number, exchange?: Endpoint): void {
    const own = isSelf(claim.node);
    if (own && context.leaving) return;
    const fault = faultOf(claim);
    if (fault !== null) {
      context.refuse(fault, { node: claim.node });
      return;
    }
    const before = table.get(claim.node);
    // What is known already costs no signature check: most of what is gossiped is.
    if (!own && before !== undefined && claim.incarnation <= before.incarnation && sameEndpoint(before.endpoint, claim)) {
      if (isGone(before)) remind(before, nowMs);
      return;
    }
    if (!own && hooks.admitAlive !== undefined) {
      if (claim.versions.length < VERSION_BYTES) {
        context.refuse('impossible-versions', { node: claim.node });
        return;
      }
      if (!hooks.admitAlive(claim, before === undefined ? null : viewOf(before), exchange ?? null)) {
        context.refuse('vetoed', { node: claim.node });
        return;
      }
    }
    const found = known(claim, nowMs);
    if (found === null) return;
    const { member, moved } = found;
    if (own) {
      if (claim.incarnation < member.incarnation) return;
      absolve(member);
      const same = claim.incarnation === member.incarnation && sameBytes(claim.meta, member.meta) && sameBytes(claim.versions, member.versions);
      if (!same) refute(claim.incarnation);
      return;
    }
    if (claim.incarnation <= member.incarnation && !moved) return;
    accept(member, claim, nowMs);
  }

  function accept(member: Member, claim: Alive, nowMs: number): void {
    absolve(member);
    const { state, meta, endpoint } = member;
    spread(claim);
    if (claim.versions.length >= VERSION_BYTES) member.versions = claim.versions.slice(0, VERSION_BYTES);
    member.incarnation = claim.incarnation;
    member.meta = claim.meta;
    if (!sameEndpoint(endpoint, claim)) {
      member.endpoint = endpointOf(claim);
      member.acquainted = false;
      table.moved(member, endpoint);
    }
    if (state !== 'alive') setState(member, 'alive', nowMs);
    if (state === 'dead' || state === 'left') {
      member.greetings = 0;
      member.greetedAtMs = Number.NEGATIVE_INFINITY;
      context.tell({ kind: 'join', member: viewOf(member) });
    } else {
      if (state === 'suspect') context.tell({ kind: 'alive', member: viewOf(member) });
      if (!sameBytes(meta, member.meta)) context.tell({ kind: 'update', member: viewOf(member) });
    }
  }

  /** What a foreign accusation may do; our own failure detector is not asked. */
  function weigh(claim: Suspect | Dead): { readonly member: Member; readonly verdict: 'accept' | 'as-suspect' } | null {
    const member = table.get(claim.node);
    if (member === undefined) return null;
    if (isSelf(claim.node)) return { member, verdict: 'accept' };
    // At the highest of all nobody could refute.
    if (claim.incarnation > Math.min(MAX_INCARNATION - 1, member.incarnation + PLAUSIBLE_LEAD)) {
      context.refuse('implausible-incarnation', { node: claim.node });
      return null;
    }
    const verdict = hooks.admitAccusation?.(claim, viewOf(member)) ?? 'accept';
    if (verdict !== 'refuse') return { member, verdict };
    context.refuse('vetoed', { node: claim.node });
    return null;
  }

  function believeSuspect(member: Member, claim: Suspect, nowMs: number): void {
    if (claim.incarnation < member.incarnation) return;
    if (member.suspicion !== null) {
      if (!member.suspicion.confirm(claim.from, nowMs)) return;
      watch(member);
      spread(claim);
      return;
    }
    if (isGone(member)) {
      inform(claim, member, nowMs);
      // Memberlist drops this, and an older alive that is still about revives the dead (al8n/memberlist#197). Not our own goodbye: that stands.
      if (!isSelf(member.name)) member.incarnation = claim.incarnation;
      return;
    }
    if (member.state !== 'alive') return;
    if (isSelf(member.name)) {
      if (!context.leaving) refute(claim.incarnation);
      return;
    }
    spread(claim);
    member.incarnation = claim.incarnation;
    setState(member, 'suspect', nowMs);
    member.suspicion = createSuspicion(claim.from, suspicionLimits(options, table.list.length), nowMs);
    watch(member);
    context.tell({ kind: 'suspect', member: viewOf(member), by: claim.from });
  }

  function watch(member: Member): void {
    const { suspicion } = member;
    if (suspicion === null) return;
    alarms.set(`suspicion ${member.name}`, suspicion.endsAtMs, nowMs => {
      if (member.suspicion !== suspicion || member.state !== 'suspect') return;
      const claim: Dead = { kind: 'dead', incarnation: member.incarnation, node: member.name, from: options.name };
      believeDead(member, claim, nowMs);
      proclaim(claim, nowMs);
    });
  }

  /** Our own verdict goes to all at once, as a ban does: else the last one hears of it half a second later. Where half a mesh is lost, gossip packs its deaths together. */
  function proclaim(claim: Dead, nowMs: number): void {
    if (nowMs - proclaimedAtMs < paceMs(options)) return;
    proclaimedAtMs = nowMs;
    tellAll(claim);
  }

  function tellAll(claim: Dead): void {
    const hearers = table.list.filter(member => member !== self && member.state === 'alive');
    if (hearers.length <= options.eagerPeers) for (const hearer of hearers) mail.plainly([claim], hearer);
  }

  function believeDead(member: Member, claim: Dead, nowMs: number): void {
    if (claim.incarnation < member.incarnation) return;
    absolve(member);
    if (isGone(member)) {
      // As with a late suspicion: what it lived through counts, though it changes nothing now.
      if (claim.incarnation === member.incarnation || isSelf(member.name)) return;
      member.incarnation = claim.incarnation;
      if (claim.node === claim.from) member.state = 'left';
      spread(claim);
      return;
    }
    if (isSelf(member.name)) {
      refute(claim.incarnation);
      return;
    }
    spread(claim);
    bury(member, claim, nowMs);
  }

  function bury(member: Member, claim: Dead, nowMs: number): void {
    member.incarnation = claim.incarnation;
    setState(member, claim.node === claim.from ? 'left' : 'dead', nowMs);
    context.tell({ kind: 'leave', member: viewOf(member) });
  }

  function suspect(claim: Suspect, nowMs: number): void {
    const weighed = weigh(claim);
    if (weighed !== null) believeSuspect(weighed.member, claim, nowMs);
  }

  function dead(claim: Dead, nowMs: number): void {
    const weighed = weigh(claim);
    if (weighed === null) return;
    if (weighed.verdict === 'as-suspect') {
      believeSuspect(weighed.member, { ...claim, kind: 'suspect' }, nowMs);
      return;
    }
    believeDead(weighed.member, claim, nowMs);
  }

  /** That a member is dead is never taken from a list: it is suspected, and may answer. */
  function merge(pushed: readonly PushedMember[], from: Endpoint, nowMs: number): void {
    for (const { name, address, port, meta, incarnation, state, versions } of pushed) {
      if (state === 'alive') alive({ kind: 'alive', incarnation, node: name, address, port, meta, versions }, nowMs, from);
      else if (state === 'left') dead({ kind: 'dead', incarnation, node: name, from: name }, nowMs);
      else suspect({ kind: 'suspect', incarnation, node: name, from: options.name }, nowMs);
    }
  }

  return {
    self,
    alive,
    suspect,
    dead,
    merge,
    accuse(name, incarnation, nowMs) {
      const member = table.get(name);
      if (member === undefined) return;
      // Before it is believed: who signs it must have done so when the word of death goes out.
      if (incarnation === member.incarnation && !isGone(member)) context.tell({ kind: 'accused', member: viewOf(member) });
      believeSuspect(member, { kind: 'suspect', incarnation, node: name, from: options.name }, nowMs);
    },
    announce(nowMs) {
      spread(ownAlive(Math.min(options.incarnation, MAX_INCARNATION)));
      setState(self, 'alive', nowMs);
      context.tell({ kind: 'join', member: viewOf(self) });
    },
    updateMeta(meta) {
      if (self.incarnation >= MAX_INCARNATION) {
        context.refuse('incarnation-exhausted', { node: self.name });
        return;
      }
      ownMeta = meta;
      spread(ownAlive(self.incarnation + 1));
      context.tell({ kind: 'update', member: viewOf(self) });
    },
    leave(nowMs, finished) {
      const claim: Dead = { kind: 'dead', incarnation: self.incarnation, node: self.name, from: self.name };
      spread(claim, finished);
      // Said to all at once, too: who misses it would wait for a probe, and call it a death.
      tellAll(claim);
      bury(self, claim, nowMs);
    },
  };
}
