/**
 * What members say to each other: hashicorp/memberlist's messages as values, whatever bytes carried them. Byte strings are Uint8Array: a name is
 * compared as bytes, an address in the form in which it came (4 and 16 bytes of the same IPv4 are two addresses to memberlist).
 */

/** First byte of a message (memberlist net.go, messageType). */
export const MESSAGE_TYPE = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  crc: 12,
  error: 13,
  label: 244,
} as const;

/** Where a reply is to go, where that is not the datagram's source. */
export interface ReplyTo {
  readonly address: Uint8Array;
  readonly port: number;
  readonly node: string;
}

/** Names are Latin-1 texts of the bytes: lossless, comparable, never trusted as UTF-8. */
export type Message =
  | { readonly kind: 'ping'; readonly sequence: number; readonly node: string; readonly replyTo?: ReplyTo }
  | {
      readonly kind: 'indirect-ping';
      readonly sequence: number;
      readonly target: Uint8Array;
      readonly port: number;
      readonly node: string;
      readonly nack: boolean;
      readonly replyTo?: ReplyTo;
    }
  | { readonly kind: 'ack'; readonly sequence: number; readonly payload: Uint8Array | null }
  | { readonly kind: 'nack'; readonly sequence: number }
  | { readonly kind: 'suspect'; readonly incarnation: number; readonly node: string; readonly from: string }
  | {
      readonly kind: 'alive';
      readonly incarnation: number;
      readonly node: string;
      readonly address: Uint8Array;
      readonly port: number;
      readonly meta: Uint8Array;
      /** Vsn: pMin, pMax, pCur, dMin, dMax, dCur; what came, also where it has another length than 6. */
      readonly versions: Uint8Array;
    }
  | { readonly kind: 'dead'; readonly incarnation: number; readonly node: string; readonly from: string }
  | { readonly kind: 'user'; readonly payload: Uint8Array }
  | { readonly kind: 'error'; readonly text: string };

/** Numbers as on the wire (PushNodeState.State). */
export const MEMBER_STATES = ['alive', 'suspect', 'dead', 'left'] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

export interface PushedMember {
  readonly name: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly incarnation: number;
  readonly state: MemberState;
  readonly versions: Uint8Array;
}

export interface PushPull {
  readonly kind: 'push-pull';
  readonly join: boolean;
  readonly members: readonly PushedMember[];
  readonly userState: Uint8Array;
}

/** What a stream (TCP) carries: one message each way at the most. */
export type StreamMessage = Extract<Message, { kind: 'ping' | 'ack' | 'user' | 'error' }> | PushPull;
