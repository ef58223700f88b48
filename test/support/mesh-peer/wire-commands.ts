/** Commands for what no member says by itself: one datagram or one stream of whatever bytes, sealed as ours would be, or as they are. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { hostOf } from '#enforcer/mesh/node/places.ts';
import type { Endpoint } from '#enforcer/mesh/protocol/core/endpoint.ts';
import { MESSAGE_TYPE } from '#enforcer/mesh/protocol/messages.ts';
import { joined, u32Bytes } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { encryptionVersionOf, NONCE_BYTES, sealed, sealedLength } from '#enforcer/mesh/protocol/wire/encryption.ts';
import { labelHeader } from '#enforcer/mesh/protocol/wire/label.ts';
import { type Cover, type Dissection, dissectStream } from './dissect.ts';

export interface WireOptions extends Cover {
  /** Our own: 1 encrypts in version 0. */
  readonly protocol: number;
  readonly verifyOutgoing: boolean;
  /** Until the peer has closed. */
  readonly timeoutMs: number;
}

const MOST_RECEIVED = 32 * 1024 * 1024;

export function createWire({ keyring, label, protocol, verifyOutgoing, timeoutMs }: WireOptions) {
  const version = encryptionVersionOf(protocol);
  const key = () => (verifyOutgoing ? keyring.primary : null);

  function packet(plain: Uint8Array): Uint8Array {
    const primary = key();
    const body = primary === null ? plain : sealed(plain, { key: primary, version, nonce: randomBytes(NONCE_BYTES), context: label });
    return joined(labelHeader(label), body);
  }

  function frame(plain: Uint8Array): Uint8Array {
    const primary = key();
    if (primary === null) return joined(labelHeader(label), plain);
    const head = joined(Uint8Array.of(MESSAGE_TYPE.encrypt), u32Bytes(sealedLength(plain.length, version)));
    return joined(labelHeader(label), head, sealed(plain, { key: primary, version, nonce: randomBytes(NONCE_BYTES), context: joined(head, label) }));
  }

  async function raw(to: Endpoint, bytes: Uint8Array): Promise<void> {
    const host = hostOf(to);
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.send(bytes, to.port, host, error => (error === null ? resolve() : reject(error)));
      });
    } finally {
      socket.close();
    }
  }

  /** `received` null: it was closed without a word. */
  function stream(to: Endpoint, plain: Uint8Array): Promise<{ readonly received: Dissection | null; readonly closed: boolean }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ received: Dissection | null; closed: boolean }>();
    const socket = connect({ host: hostOf(to), port: to.port, noDelay: true });
    const chunks: Buffer[] = [];
    let length = 0;
    let connected = false;
    const end = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ received: length === 0 ? null : dissectStream(Buffer.concat(chunks), { keyring, label }), closed });
    };
    const timer = setTimeout(() => end(false), timeoutMs);
    socket.once('connect', () => {
      connected = true;
      socket.write(frame(plain));
    });
    socket.on('data', chunk => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MOST_RECEIVED) end(false);
    });
    socket.once('end', () => end(true));
    socket.once('close', () => end(true));
    socket.on('error', error => {
      if (connected) return; // reset: closed all the same
      clearTimeout(timer);
      reject(error);
    });
    return promise;
  }

  return { raw, stream, packet: (to: Endpoint, plain: Uint8Array) => raw(to, packet(plain)) };
}

/** Two digits a byte; `-` is nothing at all. */
export function fromHex(text: string): Uint8Array {
  if (text === '-') return new Uint8Array();
  if (text.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(text)) throw new Error(`not hexadecimal: ${text.slice(0, 40)}`);
  return new Uint8Array(Buffer.from(text, 'hex'));
}
