/** Somebody who holds the group's key and label, and nothing else: what it says is sealed as a member would seal it. */
import { createCipheriv } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import { createKeyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { sealPacket } from '#enforcer/mesh/protocol/wire/packet.ts';
import { GROUP_KEY } from '#test/support/mesh-host.ts';

const label = new Uint8Array(Buffer.from('honeymesh'));
let lastNonce = 0;

export function sealedPacket(...messages: Message[]): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(8, ++lastNonce);
  return sealPacket(messages.map(encodeMessage), { label, keyring: createKeyring([GROUP_KEY]), compress: false, checksum: false, encryption: 1, nonce });
}

export interface Stranger {
  say(port: number, bytes: Uint8Array): Promise<void>;
  close(): void;
}

/** From a port of its own, at an address where nobody is a member: else it would pass for one that lives there. */
export async function createStranger(address = '127.0.0.9'): Promise<Stranger> {
  const socket: Socket = createSocket('udp4');
  await new Promise<void>(resolve => socket.bind(0, address, resolve));
  return {
    say: (port, bytes) => new Promise((resolve, reject) => socket.send(bytes, port, '127.0.0.1', error => (error === null ? resolve() : reject(error)))),
    close: () => void socket.close(),
  };
}

function sealedWith(version: number, plain: Uint8Array, context: Uint8Array): Buffer {
  const nonce = new Uint8Array(12).fill(99 + version);
  const cipher = createCipheriv('aes-256-gcm', GROUP_KEY, nonce).setAAD(context);
  return Buffer.concat([Buffer.of(version), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

const labelled = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.of(244, label.length), label, bytes]);

/** Ends a Go process of memberlist v0.7.0 by its padding, which is longer than all. */
export const deadlyPacket = (): Buffer => labelled(sealedWith(0, new Uint8Array(16).fill(255), label));

/** The same by a frame that holds nothing. */
export function deadlyFrame(): Buffer {
  const head = Buffer.of(10, 0, 0, 0, 29);
  return labelled(Buffer.concat([head, sealedWith(1, new Uint8Array(), Buffer.concat([head, label]))]));
}
