/** What comes out of a member: what is to be sent, what was seen, what was refused. */
import type { MemberState, Message, PushedMember, StreamMessage } from '../messages.ts';
import type { Endpoint } from './endpoint.ts';
import type { StreamFailure, StreamRequest } from './inputs.ts';

export type Output =
  | {
      /** One datagram: more than one message is a compound. */
      readonly kind: 'send';
      readonly to: Endpoint;
      readonly messages: readonly Message[];
      /** pMax of the receiver, where memberlist would know it: from 5 on the datagram carries a CRC. */
      readonly knownMax: number | null;
    }
  | {
      /** Dial, say this, read one message if `replyExpected`, close. Over at `deadlineMs` (the clock of `handle`). */
      readonly kind: 'open';
      readonly id: number;
      readonly to: Endpoint;
      readonly request: StreamRequest;
      readonly replyExpected: boolean;
      readonly deadlineMs: number;
    }
  /** The answer on a stream that a peer opened; close it then. */
  | { readonly kind: 'reply'; readonly id: number; readonly message: StreamMessage }
  | { readonly kind: 'event'; readonly event: MemberEvent }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly node: string | null; readonly from: Endpoint | null };

/** A member as it was when the event arose. */
export interface MemberView extends Endpoint {
  readonly name: string;
  readonly meta: Uint8Array;
  readonly incarnation: number;
  readonly state: MemberState;
  readonly versions: Uint8Array;
  /** It answered a ping of ours from the address that is told of it: an address nobody answered at is only somebody's word. */
  readonly acquainted: boolean;
}

export type MemberEvent =
  | { readonly kind: 'join' | 'update' | 'alive'; readonly member: MemberView }
  | { readonly kind: 'suspect'; readonly member: MemberView; readonly by: string }
  /** Our own failure detector found it failing, at the incarnation of `member`: again or for the first time. */
  | { readonly kind: 'accused'; readonly member: MemberView }
  /** It answered a ping of ours from where it is said to live, or a push/pull that we dialled there. */
  | { readonly kind: 'answered'; readonly node: string; readonly at: Endpoint }
  /** `member.state` says whether it left or died. */
  | { readonly kind: 'leave'; readonly member: MemberView }
  | { readonly kind: 'conflict'; readonly member: MemberView; readonly other: Endpoint }
  /** `member`: who of the table lives at that address, or null. Not proof: signatures are. */
  | { readonly kind: 'user'; readonly payload: Uint8Array; readonly via: 'packet' | 'stream'; readonly from: Endpoint; readonly member: string | null }
  | { readonly kind: 'merge'; readonly join: boolean; readonly userState: Uint8Array; readonly from: Endpoint; readonly members: readonly PushedMember[] }
  /** `id` null: a probe of the failure detector. */
  | { readonly kind: 'ping'; readonly id: number | null; readonly node: string; readonly rttMs: number; readonly payload: Uint8Array | null }
  | { readonly kind: 'ping-failed'; readonly id: number; readonly why: 'unknown' | 'timeout' }
  | { readonly kind: 'joined'; readonly id: number; readonly contacted: number; readonly failed: readonly JoinFailure[] }
  | { readonly kind: 'left'; readonly id: number; readonly how: 'told' | 'timeout' | 'alone' }
  | { readonly kind: 'sent'; readonly id: number; readonly failure: StreamFailure | 'unknown' | null }
  /** Our incarnation went up: to be kept, the next start begins above it. */
  | { readonly kind: 'incarnation'; readonly incarnation: number }
  /** UDP to a member fails while its TCP works: a firewall's fault that nobody else would tell. */
  | { readonly kind: 'udp-blocked'; readonly member: MemberView }
  /** Time to resolve the list of peers again, and to join those that are not members. */
  | { readonly kind: 'rejoin-due' };

export interface JoinFailure {
  readonly target: Endpoint;
  readonly why: StreamFailure | 'refused-merge';
  /** The peer's own words (message `error`), what was wrong with its answer, or who could not be talked with; empty where `why` says all. */
  readonly text: string;
}

export type Refusal =
  | 'impossible-versions'
  | 'bad-address'
  | 'bad-name'
  | 'meta-too-long'
  | 'implausible-incarnation'
  | 'incarnation-exhausted'
  | 'table-full'
  | 'ping-for-another'
  | 'too-many-relays'
  | 'handoff-full'
  | 'unexpected-message'
  | 'unexpected-reply'
  | 'incompatible-versions'
  | 'payload-too-long'
  | 'unknown-member'
  | 'not-running'
  /** The layer above said no: a signature, an address that is not allowed, a merge that it vetoes. */
  | 'vetoed';
