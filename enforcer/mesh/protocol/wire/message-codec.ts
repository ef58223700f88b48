/** One message to bytes and back: its type in the first byte, then its structure. What carries it (compound, compression, key, label) is elsewhere. */
import { type Parsed, parsed, unparsed, unreachable } from '@honeymesh/intel/parsed';
import { MEMBER_STATES, MESSAGE_TYPE, type Message, type PushedMember, type ReplyTo } from '../messages.ts';
import { ACK, ALIVE, DEAD, ERROR, INDIRECT_PING, MEMBER, NACK, PING, SUSPECT } from './bodies.ts';
import { copyOf, joined, NO_BYTES } from './bytes.ts';
import type { WireFault } from './faults.ts';
import { LONGEST_RAW, MOST_VALUES_OF_PACKET } from './limits.ts';
import { Cursor } from './msgpack-cursor.ts';
import type { Writer } from './msgpack-writer.ts';

export const BOUNDS_OF_PACKET = { longestRaw: LONGEST_RAW, mostValues: MOST_VALUES_OF_PACKET };

/** The bytes of a message as a datagram carries it. Throws RangeError where a number or a text is none of the wire's: such a message is a bug of ours. */
export function encodeMessage(message: Message): Uint8Array {
  switch (message.kind) {
    case 'ping':
      return PING.message(MESSAGE_TYPE.ping, { SeqNo: message.sequence, Node: message.node, ...sourceOf(message.replyTo) });
    case 'indirect-ping': {
      const { sequence, target, port, node, nack, replyTo } = message;
      const source = sourceOf(replyTo);
      return INDIRECT_PING.message(MESSAGE_TYPE.indirectPing, { SeqNo: sequence, Target: target, Port: port, Node: node, Nack: nack, ...source });
    }
    case 'ack':
      return ACK.message(MESSAGE_TYPE.ack, { SeqNo: message.sequence, Payload: message.payload });
    case 'nack':
      return NACK.message(MESSAGE_TYPE.nack, { SeqNo: message.sequence });
    case 'suspect':
      return SUSPECT.message(MESSAGE_TYPE.suspect, { Incarnation: message.incarnation, Node: message.node, From: message.from });
    case 'dead':
      return DEAD.message(MESSAGE_TYPE.dead, { Incarnation: message.incarnation, Node: message.node, From: message.from });
    case 'alive': {
      const { incarnation, node, address, port, meta, versions } = message;
      return ALIVE.message(MESSAGE_TYPE.alive, { Incarnation: incarnation, Node: node, Addr: address, Port: port, Meta: meta, Vsn: versions });
    }
    case 'user':
      return joined(Uint8Array.of(MESSAGE_TYPE.user), message.payload);
    case 'error':
      return ERROR.message(MESSAGE_TYPE.error, { Error: message.text });
    default:
      return unreachable(message);
  }
}

/** Reads one message that no other wraps. `bytes` is hostile; nothing of it is kept. */
export function decodeMessage(bytes: Uint8Array): Parsed<Message, WireFault> {
  const type = bytes[0];
  if (type === undefined) return unparsed('empty');
  if (type === MESSAGE_TYPE.user) return parsed({ kind: 'user', payload: copyOf(bytes.subarray(1)) });
  const read = READERS[type];
  if (read === undefined) return unparsed('unknown-type');
  const cursor = new Cursor(bytes, 1, BOUNDS_OF_PACKET);
  const message = read(cursor);
  const fault = cursor.fault ?? cursor.refusal;
  return fault === null ? parsed(message) : unparsed(fault);
}

/** How the body of each type is read: on a stream, too. */
export const READERS: Readonly<Record<number, (cursor: Cursor) => Message>> = {
  [MESSAGE_TYPE.ping]: cursor => {
    const { SeqNo, Node, ...source } = PING.read(cursor);
    return { kind: 'ping', sequence: SeqNo, node: Node, ...replyToOf(source, cursor) };
  },
  [MESSAGE_TYPE.indirectPing]: cursor => {
    const { SeqNo, Target, Port, Node, Nack, ...source } = INDIRECT_PING.read(cursor);
    return { kind: 'indirect-ping', sequence: SeqNo, target: Target, port: Port, node: Node, nack: Nack, ...replyToOf(source, cursor) };
  },
  [MESSAGE_TYPE.ack]: cursor => {
    const { SeqNo, Payload } = ACK.read(cursor);
    return { kind: 'ack', sequence: SeqNo, payload: Payload };
  },
  [MESSAGE_TYPE.nack]: cursor => ({ kind: 'nack', sequence: NACK.read(cursor).SeqNo }),
  [MESSAGE_TYPE.suspect]: cursor => {
    const { Incarnation, Node, From } = SUSPECT.read(cursor);
    return { kind: 'suspect', incarnation: Incarnation, node: Node, from: From };
  },
  [MESSAGE_TYPE.dead]: cursor => {
    const { Incarnation, Node, From } = DEAD.read(cursor);
    return { kind: 'dead', incarnation: Incarnation, node: Node, from: From };
  },
  [MESSAGE_TYPE.alive]: cursor => {
    const { Incarnation, Node, Addr, Port, Meta, Vsn } = ALIVE.read(cursor);
    return { kind: 'alive', incarnation: Incarnation, node: Node, address: Addr, port: Port, meta: Meta, versions: Vsn };
  },
  [MESSAGE_TYPE.error]: cursor => ({ kind: 'error', text: ERROR.read(cursor).Error }),
};

export function writeMember(writer: Writer, member: PushedMember): void {
  const { name, address, port, meta, incarnation, state, versions } = member;
  MEMBER.write(writer, { Name: name, Addr: address, Port: port, Meta: meta, Incarnation: incarnation, State: MEMBER_STATES.indexOf(state), Vsn: versions });
}

export function readMember(cursor: Cursor): PushedMember {
  const { Name, Addr, Port, Meta, Incarnation, State, Vsn } = MEMBER.read(cursor);
  const state = MEMBER_STATES[State];
  if (state === undefined) cursor.refuse('unknown-state');
  return { name: Name, address: Addr, port: Port, meta: Meta, incarnation: Incarnation, state: state ?? 'dead', versions: Vsn };
}

interface Source {
  readonly SourceAddr: Uint8Array;
  readonly SourcePort: number;
  readonly SourceNode: string;
}

/** Go replies to where a packet came from unless both address and port are given (net.go, handlePing). No socket takes an address of another length. */
function replyToOf({ SourceAddr, SourcePort, SourceNode }: Source, cursor: Cursor): { readonly replyTo?: ReplyTo } {
  if (SourceAddr.length === 0 || SourcePort === 0) return {};
  if (SourceAddr.length !== 4 && SourceAddr.length !== 16) cursor.refuse('bad-address');
  return { replyTo: { address: SourceAddr, port: SourcePort, node: SourceNode } };
}

const sourceOf = (to: ReplyTo | undefined): Source => ({ SourceAddr: to?.address ?? NO_BYTES, SourcePort: to?.port ?? 0, SourceNode: to?.node ?? '' });
