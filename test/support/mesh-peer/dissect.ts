/** What is on the wire, layer by layer, as the events of `-trace` and the replies to `stream` tell it. */
import { textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import { MESSAGE_TYPE, type Message, type StreamMessage } from '#enforcer/mesh/protocol/messages.ts';
import { joined } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { partsOf } from '#enforcer/mesh/protocol/wire/compound.ts';
import { expanded } from '#enforcer/mesh/protocol/wire/compression.ts';
import { open } from '#enforcer/mesh/protocol/wire/encryption.ts';
import type { Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { readLabel } from '#enforcer/mesh/protocol/wire/label.ts';
import { MOST_VALUES_OF_STREAM, WIRE_LIMITS } from '#enforcer/mesh/protocol/wire/limits.ts';
import { BOUNDS_OF_PACKET, decodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { CHECKSUM_OVERHEAD } from '#enforcer/mesh/protocol/wire/packet.ts';
import { createBodyReader } from '#enforcer/mesh/protocol/wire/stream-body.ts';
import { base64 } from './flags.ts';
import { nameOf } from './report.ts';

export interface Cover {
  readonly keyring: Keyring;
  /** Our own. */
  readonly label: Uint8Array;
}

export interface Dissection {
  readonly len: number;
  /** As it came; streams that answer bear none. */
  readonly label: string;
  /** Version of the encryption; null: in clear, or under no key of ours (`fault` tells). */
  readonly enc: number | null;
  /** Which of our keys, the primary is 0. */
  readonly key: number | null;
  readonly crc: boolean;
  readonly compressed: boolean;
  readonly compound: boolean;
  readonly msgs: readonly object[];
  readonly fault?: string;
}

type Layers = { -readonly [Name in keyof Omit<Dissection, 'msgs' | 'len'>]: Dissection[Name] } & { readonly msgs: object[] };

const NOTHING = { label: '', enc: null, key: null, crc: false, compressed: false, compound: false } as const;
const DEEPEST = 8;
const HEAD = 5;

export function dissectDatagram(bytes: Uint8Array, { keyring, label }: Cover): Dissection {
  const layers: Layers = { ...NOTHING, msgs: [] };
  const rest = unlabelled(bytes, layers);
  const plain = layers.fault === undefined ? decrypted(rest, keyring, label, layers) : null;
  if (plain !== null) takeApart(uncounted(plain, layers), layers, 0);
  return { len: bytes.length, ...layers };
}

/** All that one side of a connection said. */
export function dissectStream(bytes: Uint8Array, { keyring, label }: Cover): Dissection {
  const layers: Layers = { ...NOTHING, msgs: [] };
  let rest = unlabelled(bytes, layers);
  if (rest[0] === MESSAGE_TYPE.encrypt) {
    const head = rest.subarray(0, HEAD);
    rest = decrypted(rest.subarray(HEAD), keyring, joined(head, label), layers) ?? new Uint8Array();
  }
  if (layers.fault === undefined && rest[0] === MESSAGE_TYPE.compress) {
    layers.compressed = true;
    const expansion = expanded(rest, WIRE_LIMITS.streamExpansion, { longestRaw: WIRE_LIMITS.streamBytes, mostValues: MOST_VALUES_OF_STREAM });
    if (expansion.ok) rest = expansion.value;
    else layers.fault = expansion.why;
  }
  if (layers.fault === undefined) {
    const read = createBodyReader(WIRE_LIMITS).read(rest);
    if (read.ok) layers.msgs.push(describeMessage(read.value.message));
    else layers.fault = read.why;
  }
  return { len: bytes.length, ...layers };
}

function unlabelled(bytes: Uint8Array, layers: Layers): Uint8Array {
  const read = readLabel(bytes);
  if (!read.ok) {
    layers.fault = read.why;
    return bytes;
  }
  layers.label = Buffer.from(read.value.label).toString();
  return bytes.subarray(read.value.end);
}

function decrypted(bytes: Uint8Array, keyring: Keyring, context: Uint8Array, layers: Layers): Uint8Array | null {
  if (keyring.primary === null) return bytes;
  const opened = open(bytes, keyring, context, undefined);
  if (!opened.ok) {
    layers.fault = opened.why;
    return null;
  }
  layers.enc = bytes[0] ?? null;
  layers.key = keyring.keys.indexOf(opened.value.key);
  return opened.value.plain;
}

function uncounted(plain: Uint8Array, layers: Layers): Uint8Array {
  layers.crc = plain[0] === MESSAGE_TYPE.crc && plain.length >= CHECKSUM_OVERHEAD;
  return layers.crc ? plain.subarray(CHECKSUM_OVERHEAD) : plain;
}

function takeApart(bytes: Uint8Array, layers: Layers, depth: number): void {
  if (depth > DEEPEST) layers.fault = 'too-deep';
  else if (bytes[0] === MESSAGE_TYPE.compound) {
    layers.compound = true;
    const parts = partsOf(bytes);
    if (parts.ok) for (const part of parts.value.parts) takeApart(part, layers, depth + 1);
    else layers.fault = parts.why;
  } else if (bytes[0] === MESSAGE_TYPE.compress) {
    layers.compressed = true;
    const expansion = expanded(bytes, WIRE_LIMITS.packetExpansion, BOUNDS_OF_PACKET);
    if (expansion.ok) takeApart(expansion.value, layers, depth + 1);
    else layers.fault = expansion.why;
  } else {
    const message = decodeMessage(bytes);
    if (message.ok) layers.msgs.push(describeMessage(message.value));
    else layers.fault = message.why;
  }
}

function describeMessage(message: Message | StreamMessage): object {
  switch (message.kind) {
    case 'ping':
      return { type: 'ping', seq: message.sequence, node: nameOf(message.node), ...sourceOf(message) };
    case 'indirect-ping': {
      const target = textOfEndpoint({ address: message.target, port: message.port });
      return { type: 'indirect-ping', seq: message.sequence, node: nameOf(message.node), target, nack: message.nack, ...sourceOf(message) };
    }
    case 'ack':
      return { type: 'ack', seq: message.sequence, payload: base64(message.payload ?? new Uint8Array()) };
    case 'nack':
      return { type: 'nack', seq: message.sequence };
    case 'suspect':
    case 'dead':
      return { type: message.kind, node: nameOf(message.node), inc: message.incarnation, from: nameOf(message.from) };
    case 'alive':
      return { type: 'alive', node: nameOf(message.node), addr: textOfEndpoint(message), ...described(message) };
    case 'user':
      return { type: 'user', data: base64(message.payload), len: message.payload.length };
    case 'error':
      return { type: 'err', error: nameOf(message.text) };
    case 'push-pull': {
      const nodes = message.members.map(member => ({
        node: nameOf(member.name),
        addr: textOfEndpoint(member),
        state: member.state,
        ...described(member),
      }));
      return { type: 'push-pull', join: message.join, nodes, state: base64(message.userState) };
    }
  }
}

const described = ({ incarnation, meta, versions }: { readonly incarnation: number; readonly meta: Uint8Array; readonly versions: Uint8Array }) => ({
  inc: incarnation,
  meta: base64(meta),
  vsn: [...versions],
});

function sourceOf({ replyTo }: Extract<Message, { kind: 'ping' | 'indirect-ping' }>): object {
  return replyTo === undefined ? {} : { source: textOfEndpoint(replyTo), source_node: nameOf(replyTo.node) };
}
