/** What the daemon is told of the members: what happened to whom as it happens, the whole picture not more often than it can be read. */
import { hexOf } from '@honeymesh/intel/envelope-bytes';
import { SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import { textOfEndpoint } from '../node/places.ts';
import type { MeshView, MeshWord } from '../port.ts';
import type { MemberEvent, MemberView } from '../protocol/core/outputs.ts';
import { type Neighbours, shownName } from './neighbours.ts';

export interface Telling {
  heard(event: MemberEvent): void;
  /** Something of the picture has changed. `members`: it is worth telling now. */
  changed(members: boolean): void;
  stop(): void;
}

export interface TellingDeps {
  readonly say: (word: MeshWord) => void;
  readonly view: () => MeshView;
  readonly neighbours: Neighbours;
  readonly now: () => UnixMs;
  readonly selfName: string;
}

/** Who answered when, and counters: changes all the time. */
const QUIET_MS = 5 * SECOND_MS;
/** A picture of so many peers is made in a millisecond or two. */
const PEERS_A_SECOND = 2_000;
/** The same of the same peer. */
const AGAIN_MS = 5 * SECOND_MS;
const MOST_TOLD = 4_096;

export function createTelling({ say, view, neighbours, now, selfName }: TellingDeps): Telling {
  let timer: NodeJS.Timeout | null = null;
  let timerMs = Number.POSITIVE_INFINITY;
  let lastMs = Number.NEGATIVE_INFINITY;
  let peers = 0;
  let stopped = false;
  const told = new Map<string, { readonly atMs: number; untold: number }>();

  function changed(members: boolean): void {
    const leastMs = SECOND_MS * Math.max(1, peers / PEERS_A_SECOND);
    const atMs = Math.max(performance.now(), lastMs + (members ? leastMs : Math.max(leastMs, QUIET_MS)));
    if (stopped || atMs >= timerMs) return;
    if (timer !== null) clearTimeout(timer);
    timerMs = atMs;
    timer = setTimeout(tell, Math.max(0, atMs - performance.now()));
  }

  function tell(): void {
    timer = null;
    timerMs = Number.POSITIVE_INFINITY;
    lastMs = performance.now();
    const told = view();
    peers = told.peers.length;
    say({ kind: 'view', view: told });
  }

  /** Null: it was told a moment ago. Whoever holds the key can suspect anybody as often as it likes; our log is not its. */
  function untoldOf(what: string, pauseMs: number): number | null {
    const before = told.get(what);
    const atMs = performance.now();
    if (before !== undefined && atMs - before.atMs < pauseMs) {
      before.untold++;
      return null;
    }
    if (told.size >= MOST_TOLD) told.clear();
    told.set(what, { atMs, untold: 0 });
    return before?.untold ?? 0;
  }

  function peer(what: Extract<MeshWord, { kind: 'peer' }>['what'], member: MemberView, text: string): void {
    changed(true);
    const untold = untoldOf(`${what} ${member.name}`, what === 'joined' || what === 'left' || what === 'died' ? 0 : AGAIN_MS);
    if (untold === null) return;
    const name = shownName(member.name);
    const address = textOfEndpoint(member);
    say({ kind: 'peer', what, name, address, text: `${name} (${address}) ${text}${untold === 0 ? '' : `, and ${untold} times before`}` });
  }

  return {
    changed,
    heard(event) {
      if (event.kind !== 'conflict' && 'member' in event && typeof event.member === 'object' && event.member?.name === selfName) return;
      switch (event.kind) {
        case 'join': {
          const certificate = neighbours.certificateOf(event.member.name, now());
          peer('joined', event.member, certificate === null ? 'joined, without a certificate' : `joined, of site ${certificate.site}, key ${certificate.kid}`);
          return;
        }
        case 'leave':
          if (event.member.state === 'left') peer('left', event.member, 'left');
          else peer('died', event.member, 'does not answer any more and counts as dead');
          return;
        case 'suspect':
          peer('suspected', event.member, `is suspected by ${event.by === selfName ? 'this host' : shownName(event.by)}`);
          return;
        case 'alive':
          peer('recovered', event.member, 'is well again');
          return;
        case 'update':
          // Who signs, signs anew each time it is accused: that is no news.
          if (neighbours.certificateOf(event.member.name, now()) === null)
            peer('updated', event.member, `says of itself: ${hexOf(event.member.meta.subarray(0, 32))}`);
          return;
        case 'conflict':
          peer('conflict', event.member, `is also said to be at ${textOfEndpoint(event.other)}: two hosts have one name, or somebody lies`);
          return;
        case 'answered':
          changed(false);
          return;
        default:
          return;
      }
    },
    stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
