/** Any message that the wire can carry, for property tests, and what is bounded about those that came from it. */
import { fc } from '@fast-check/vitest';
import { MEMBER_STATES, type Message, type PushedMember, type PushPull, type ReplyTo, type StreamMessage } from '#enforcer/mesh/protocol/messages.ts';
import { LONGEST_ADDRESS, LONGEST_ERROR, LONGEST_META, LONGEST_NAME, LONGEST_VERSIONS } from '#enforcer/mesh/protocol/wire/limits.ts';

const bytes = (longest: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: longest });
const u32 = fc.oneof(fc.nat({ max: 0xffff_ffff }), fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff));
const port = fc.nat({ max: 0xffff });
const latin1 = (longest: number): fc.Arbitrary<string> => bytes(longest).map(name => Buffer.from(name).toString('latin1'));
const name = fc.oneof({ weight: 4, arbitrary: latin1(40) }, { weight: 1, arbitrary: latin1(LONGEST_NAME) });
const address = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }));
const meta = fc.oneof(bytes(60), bytes(LONGEST_META));
const versions = fc.oneof({ weight: 4, arbitrary: fc.constant(Uint8Array.of(1, 5, 2, 0, 0, 0)) }, { weight: 1, arbitrary: bytes(LONGEST_VERSIONS) });
const replyTo: fc.Arbitrary<ReplyTo> = fc.record({ address, port: fc.integer({ min: 1, max: 0xffff }), node: name });
const perhapsReplyTo: fc.Arbitrary<{ replyTo?: ReplyTo }> = fc.oneof(
  fc.constant({}),
  replyTo.map(to => ({ replyTo: to })),
);
const payload = fc.oneof(bytes(200), bytes(1395));

const ping = fc
  .tuple(fc.record({ kind: fc.constant('ping' as const), sequence: u32, node: name }), perhapsReplyTo)
  .map(([message, to]) => ({ ...message, ...to }));
const ack = fc.record({ kind: fc.constant('ack' as const), sequence: u32, payload: fc.option(payload) });
const user = fc.record({ kind: fc.constant('user' as const), payload });
const error = fc.record({ kind: fc.constant('error' as const), text: latin1(LONGEST_ERROR) });
const indirectPing = fc
  .tuple(fc.record({ kind: fc.constant('indirect-ping' as const), sequence: u32, target: address, port, node: name, nack: fc.boolean() }), perhapsReplyTo)
  .map(([message, to]) => ({ ...message, ...to }));

/** What datagrams carry. */
export const packetMessage: fc.Arbitrary<Message> = fc.oneof(
  ping,
  indirectPing,
  ack,
  fc.record({ kind: fc.constant('nack' as const), sequence: u32 }),
  fc.record({ kind: fc.constantFrom('suspect' as const, 'dead' as const), incarnation: u32, node: name, from: name }),
  fc.record({ kind: fc.constant('alive' as const), incarnation: u32, node: name, address, port, meta, versions }),
  user,
);

const member: fc.Arbitrary<PushedMember> = fc.record({ name, address, port, meta, incarnation: u32, state: fc.constantFrom(...MEMBER_STATES), versions });
const pushPull: fc.Arbitrary<PushPull> = fc.record({
  kind: fc.constant('push-pull' as const),
  join: fc.boolean(),
  members: fc.array(member, { maxLength: 20 }),
  userState: bytes(3000),
});

export const streamMessage: fc.Arbitrary<StreamMessage> = fc.oneof(ping, ack, user, error, pushPull);

const bounded = (text: string, longest: number): boolean => text.length <= longest;

/** No value is larger than the wire lets it be, nor another kind of number than it can carry. */
export function isBounded(message: Message | PushPull): boolean {
  return Object.entries(message).every(([field, value]: [string, unknown]) => {
    if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
    if (typeof value === 'string') return bounded(value, field === 'text' ? LONGEST_ERROR : LONGEST_NAME);
    if (value instanceof Uint8Array) return field === 'payload' || field === 'userState' || value.length <= Math.max(LONGEST_META, LONGEST_ADDRESS);
    if (Array.isArray(value)) return value.every(inner => isBounded(inner));
    return typeof value === 'object' && value !== null ? isBounded(value as Message) : true;
  });
}
