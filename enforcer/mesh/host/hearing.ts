/** What the member below sees: to HM1 what is HM1's, if it comes from whom it may come; to the operator what people want to know. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { NodeRefusal } from '../node/node.ts';
import { hostOf, textOfEndpoint } from '../node/places.ts';
import type { MemberEvent } from '../protocol/core/outputs.ts';
import type { SignedLayer } from '../signed/signed-layer.ts';
import { type Neighbours, shownName } from './neighbours.ts';
import type { Refusals } from './refusals.ts';
import type { Runner } from './runner.ts';
import type { Telling } from './telling.ts';
import type { Viewer } from './viewer.ts';
import type { Watch } from './watch.ts';

export interface HearingDeps {
  readonly layer: () => SignedLayer | null;
  readonly runner: Runner;
  readonly telling: Telling;
  readonly watch: Watch;
  readonly refusals: Refusals;
  readonly neighbours: Neighbours;
  readonly viewer: Viewer;
  readonly now: () => UnixMs;
}

export interface Hearing {
  heard(event: MemberEvent): void;
  refused(refusal: NodeRefusal): void;
}

export function createHearing({ layer, runner, telling, watch, refusals, neighbours, viewer, now }: HearingDeps): Hearing {
  /** Whoever holds key and label can say something here; heard are certified members. A datagram comes from where its member lives, a stream from a port of its own. */
  function user({ payload, via, from }: Extract<MemberEvent, { kind: 'user' }>): void {
    viewer.counts.userMessages++;
    const signed = layer();
    if (signed === null) return;
    const exactly = via === 'packet';
    if (!neighbours.isCertifiedAt(from, exactly, now())) {
      refusals.add(neighbours.isMemberAt(from, exactly) ? 'user message of an uncertified member' : 'user message of a stranger', textOfEndpoint(from));
      return;
    }
    runner.later(signed.payload(payload, via === 'stream' ? hostOf(from) : textOfEndpoint(from), now()));
  }

  return {
    heard(event) {
      neighbours.heard(event, now());
      switch (event.kind) {
        case 'user':
          user(event);
          break;
        case 'accused':
          runner.later(layer()?.accuse([{ subject: event.member.name, incarnation: event.member.incarnation }], now()) ?? []);
          break;
        case 'udp-blocked':
          watch.udpBlocked(event.member.name, now());
          break;
        case 'answered':
          watch.udpWorks(event.node);
          break;
        case 'leave':
          watch.udpWorks(event.member.name);
          break;
      }
      telling.heard(event);
    },
    refused(refusal) {
      // Why the layer above vetoed it, it has said itself.
      if (refusal.by === 'core' && refusal.why === 'vetoed') return;
      const from = refusal.from === null ? null : textOfEndpoint(refusal.from);
      refusals.add(refusal.why, from ?? (refusal.by === 'core' && refusal.node !== null ? shownName(refusal.node) : null));
    },
  };
}
