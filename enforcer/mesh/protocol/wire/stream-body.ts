/**
 * The message on a stream, from bytes that may still be arriving. It knows by its own lengths when it is complete: Go closes neither half of a connection to
 * say so. Members that were read are not read again.
 */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { MESSAGE_TYPE, type Message, type PushedMember, type StreamMessage } from '../messages.ts';
import { PUSH_PULL_HEADER, USER_HEADER } from './bodies.ts';
import { copyOf } from './bytes.ts';
import type { WireFault } from './faults.ts';
import { LONGEST_RAW, MOST_VALUES_OF_STREAM, type WireLimits } from './limits.ts';
import { READERS, readMember } from './message-codec.ts';
import { Cursor } from './msgpack-cursor.ts';

export interface StreamBody {
  readonly message: StreamMessage;
  /** Members of a push/pull that Go would take and we do not: over our limits, or in a state that does not exist. */
  readonly refusedMembers: number;
}

export interface BodyReader {
  /** `bytes` from the message's type on: all that came so far, and never other bytes than before. `truncated` where it is not complete. */
  read(bytes: Uint8Array): Parsed<StreamBody, WireFault>;
}

const BOUNDS = { longestRaw: LONGEST_RAW, mostValues: MOST_VALUES_OF_STREAM };

export function createBodyReader(limits: WireLimits): BodyReader {
  const members = createMembersReader(limits);
  return {
    read(bytes) {
      switch (bytes[0]) {
        case undefined:
          return unparsed('truncated');
        case MESSAGE_TYPE.pushPull:
          return members.read(bytes);
        case MESSAGE_TYPE.user:
          return userMessage(bytes, limits);
        case MESSAGE_TYPE.ping:
        case MESSAGE_TYPE.ack:
        case MESSAGE_TYPE.error:
          return single(bytes, bytes[0]);
        default:
          return unparsed('unknown-type');
      }
    },
  };
}

function single(bytes: Uint8Array, type: number): Parsed<StreamBody, WireFault> {
  const cursor = new Cursor(bytes, 1, BOUNDS);
  const message = READERS[type]?.(cursor);
  const fault = cursor.fault ?? cursor.refusal;
  if (fault !== null) return unparsed(fault);
  return message !== undefined && isOfStreams(message) ? parsed({ message, refusedMembers: 0 }) : unparsed('unknown-type');
}

const isOfStreams = (message: Message): message is Extract<Message, { kind: 'ping' | 'ack' | 'error' }> =>
  message.kind === 'ping' || message.kind === 'ack' || message.kind === 'error';

function userMessage(bytes: Uint8Array, { userMessage: longest }: WireLimits): Parsed<StreamBody, WireFault> {
  const cursor = new Cursor(bytes, 1, BOUNDS);
  const { UserMsgLen: length } = USER_HEADER.read(cursor);
  if (cursor.fault !== null) return unparsed(cursor.fault);
  const payload = rawAt(bytes, cursor.at, length, longest);
  return payload.ok ? parsed({ message: { kind: 'user', payload: payload.value }, refusedMembers: 0 }) : payload;
}

function rawAt(bytes: Uint8Array, at: number, length: number, longest: number): Parsed<Uint8Array, WireFault> {
  if (length < 0) return unparsed('bad-integer');
  if (length > longest) return unparsed('too-long');
  return at + length > bytes.length ? unparsed('truncated') : parsed(copyOf(bytes.subarray(at, at + length)));
}

interface Header {
  readonly join: boolean;
  readonly members: number;
  readonly userState: number;
}

function createMembersReader(limits: WireLimits): BodyReader {
  const members: PushedMember[] = [];
  let header: Header | null = null;
  let [at, refusedMembers] = [1, 0];

  const readHeader = (bytes: Uint8Array): WireFault | null => {
    const cursor = new Cursor(bytes, at, BOUNDS);
    const { Nodes, UserStateLen, Join } = PUSH_PULL_HEADER.read(cursor);
    if (cursor.fault !== null) return cursor.fault;
    if (Nodes < 0 || UserStateLen < 0) return 'bad-integer';
    if (Nodes > limits.members) return 'too-many';
    if (UserStateLen > limits.userState) return 'too-long';
    header = { join: Join, members: Nodes, userState: UserStateLen };
    at = cursor.at;
    return null;
  };
  const readNext = (bytes: Uint8Array): WireFault | null => {
    const cursor = new Cursor(bytes, at, BOUNDS);
    const member = readMember(cursor);
    if (cursor.fault !== null) return cursor.fault;
    // One entry beyond our limits must not keep us from all the others: any member could gossip it, and Go would pass it on.
    if (cursor.refusal === null) members.push(member);
    else refusedMembers++;
    at = cursor.at;
    return null;
  };

  return {
    read(bytes) {
      if (header === null) {
        const fault = readHeader(bytes);
        if (fault !== null || header === null) return unparsed(fault ?? 'malformed');
      }
      const { join, members: count, userState: length }: Header = header;
      while (members.length + refusedMembers < count) {
        const fault = readNext(bytes);
        if (fault !== null) return unparsed(fault);
      }
      const userState = rawAt(bytes, at, length, limits.userState);
      if (!userState.ok) return userState;
      return parsed({ message: { kind: 'push-pull', join, members, userState: userState.value }, refusedMembers });
    },
  };
}
