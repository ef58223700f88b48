/** Streams, out: one message, compressed (always, where compression is on: as Go, even if it gets longer), encrypted in a frame, and the dialer's label before it. */
import { MESSAGE_TYPE, type PushPull, type StreamMessage } from '../messages.ts';
import { PUSH_PULL_HEADER, USER_HEADER } from './bodies.ts';
import { joined, u32Bytes } from './bytes.ts';
import { compressed } from './compression.ts';
import { type EncryptionVersion, sealed, sealedLength } from './encryption.ts';
import type { Keyring } from './keyring.ts';
import { labelHeader } from './label.ts';
import { encodeMessage, writeMember } from './message-codec.ts';
import { Writer } from './msgpack-writer.ts';

export type StreamRole = 'dialer' | 'acceptor';

export interface StreamSealOptions {
  /** Only the dialer sends the label's header. The label is authenticated both ways. */
  readonly role: StreamRole;
  readonly label: Uint8Array;
  /** Null or without keys: clear. */
  readonly keyring: Keyring | null;
  readonly compress: boolean;
  readonly encryption: EncryptionVersion;
  /** 12 bytes, fresh for each message; unused where nothing is encrypted. */
  readonly nonce: Uint8Array;
}

/** All that one side of a connection says: header, frame and message. */
export function encodeStream(message: StreamMessage, { role, label, keyring, compress, encryption, nonce }: StreamSealOptions): Uint8Array {
  let bytes = plainOf(message);
  if (compress) bytes = compressed(bytes);
  const key = keyring?.primary ?? null;
  if (key !== null) {
    const head = joined(Uint8Array.of(MESSAGE_TYPE.encrypt), u32Bytes(sealedLength(bytes.length, encryption)));
    bytes = joined(head, sealed(bytes, { key, version: encryption, nonce, context: joined(head, label) }));
  }
  return role === 'dialer' ? joined(labelHeader(label), bytes) : bytes;
}

function plainOf(message: StreamMessage): Uint8Array {
  if (message.kind === 'push-pull') return pushPull(message);
  if (message.kind !== 'user') return encodeMessage(message);
  const writer = new Writer();
  writer.byte(MESSAGE_TYPE.user);
  USER_HEADER.write(writer, { UserMsgLen: message.payload.length });
  writer.raw(message.payload);
  return writer.written();
}

function pushPull({ join, members, userState }: PushPull): Uint8Array {
  const writer = new Writer();
  writer.byte(MESSAGE_TYPE.pushPull);
  PUSH_PULL_HEADER.write(writer, { Nodes: members.length, UserStateLen: userState.length, Join: join });
  for (const member of members) writeMember(writer, member);
  writer.raw(userState);
  return writer.written();
}
