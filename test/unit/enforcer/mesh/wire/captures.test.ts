/** Whole runs of two Go nodes: each datagram and each stream is understood, and made again byte for byte. */
import { describe, expect, test } from 'vitest';
import type { Message, StreamMessage } from '#enforcer/mesh/protocol/messages.ts';
import { joined } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { createKeyring, type Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { decodePacket, type OpenedPacket, sealPacket } from '#enforcer/mesh/protocol/wire/packet.ts';
import { createStreamReader, type StreamReading } from '#enforcer/mesh/protocol/wire/stream-reader.ts';
import { encodeStream, type StreamRole } from '#enforcer/mesh/protocol/wire/stream-writer.ts';
import { ascii, type Capture, captures, fromHex, oldCapture, toHex } from '#test/support/memberlist-vectors.ts';

const ringOf = ({ key_hex: hex }: Capture): Keyring | null => (hex === '' ? null : createKeyring([fromHex(hex)]));

function opened(capture: Capture, hex: string): OpenedPacket {
  const packet = decodePacket(fromHex(hex), { label: ascii(capture.label), keyring: ringOf(capture), verifyIncoming: true });
  if (!packet.ok) throw new Error(packet.why);
  return packet.value;
}

/** Go's choices that the bytes do not tell by themselves: all that it could have chosen. */
function remakes(capture: Capture, { messages, sealed }: OpenedPacket): readonly string[] {
  const cover = { label: ascii(capture.label), keyring: ringOf(capture), nonce: sealed?.nonce ?? new Uint8Array(12) };
  return [false, true].flatMap(compress =>
    [false, true].flatMap(checksum =>
      ([0, 1] as const).map(encryption => toHex(sealPacket(messages.map(encodeMessage), { ...cover, compress, checksum, encryption }))),
    ),
  );
}

function kindsOf(messages: readonly Message[]): readonly string[] {
  return messages.map(({ kind }) => kind);
}

function streamed(capture: Capture, role: StreamRole, hex: string): StreamReading {
  const options = { role, label: ascii(capture.label), keyring: ringOf(capture), verifyIncoming: true };
  const bytes = fromHex(hex);
  const reader = createStreamReader(options);
  // One byte at a time: nobody tells where a message ends.
  let last: StreamReading = { state: 'more' };
  for (const byte of bytes) {
    expect(last.state).toBe('more');
    last = reader.push(Uint8Array.of(byte));
  }
  return last;
}

describe.each(captures.map(capture => [capture.what ?? '', capture] as const))('%s', (_, capture) => {
  const packets = capture.udp.map(({ hex }) => [hex, opened(capture, hex)] as const);

  test('every datagram has messages and nothing that we refuse', () => {
    for (const [, packet] of packets) {
      expect(packet.refused).toEqual([]);
      expect(packet.messages.length).toBeGreaterThan(0);
      expect(packet.sealed === null).toBe(capture.key_hex === '');
    }
  });

  test('every datagram can be made again, byte for byte', () => {
    for (const [hex, packet] of packets) expect(remakes(capture, packet)).toContain(hex);
  });

  test('the run has what a run has: pings, acks, news of members, a leave', () => {
    const kinds = new Set(packets.flatMap(([, { messages }]) => kindsOf(messages)));
    expect([...kinds].sort()).toEqual(expect.arrayContaining(['ack', 'alive', 'dead', 'ping', 'user']));
  });

  test('every stream is understood both ways, byte by byte, and made again', () => {
    for (const stream of capture.streams) {
      for (const [role, hex] of [
        ['acceptor', stream.client_to_server],
        ['dialer', stream.server_to_client],
      ] as const) {
        if (hex === '') continue;
        const read = streamed(capture, role, hex);
        if (read.state !== 'complete') throw new Error(`${stream.what}: ${JSON.stringify(read)}`);
        const again = encodeStream(read.message, {
          role: role === 'acceptor' ? 'dialer' : 'acceptor',
          label: ascii(capture.label),
          keyring: ringOf(capture),
          // The stranger is no node, and never compresses.
          compress: capture.compression && !(role === 'acceptor' && stream.from === 'stranger'),
          encryption: capture.protocol === 1 ? 0 : 1,
          nonce: read.sealed?.nonce ?? new Uint8Array(12),
        });
        expect(toHex(again)).toBe(hex);
      }
    }
  });

  test('nobody without its key or its label reads it', () => {
    for (const [hex] of packets) {
      const label = ascii(capture.label);
      if (capture.key_hex !== '') {
        const stranger = decodePacket(fromHex(hex), { label, keyring: createKeyring([new Uint8Array(32)]), verifyIncoming: true });
        expect(stranger).toEqual({ ok: false, why: 'no-key-fits' });
      }
      const other = decodePacket(fromHex(hex), { label: joined(label, ascii('x')), keyring: ringOf(capture), verifyIncoming: true });
      expect(other).toEqual({ ok: false, why: capture.label === '' ? 'label-missing' : 'label-differs' });
    }
  });
});

describe('memberlist 0.5.0: label, AES-256, compression', () => {
  test('every datagram', () => {
    for (const { hex } of oldCapture.udp) {
      const packet = opened(oldCapture, hex);
      expect(packet.refused).toEqual([]);
      expect(remakes(oldCapture, packet)).toContain(hex);
    }
  });

  test('the join, both ways', () => {
    const request = streamed(oldCapture, 'acceptor', oldCapture.tcp_join_client_to_server);
    const reply = streamed(oldCapture, 'dialer', oldCapture.tcp_join_server_to_client);
    expect([request, reply]).toMatchObject([
      { state: 'complete', message: { kind: 'push-pull', join: true } satisfies Partial<StreamMessage> },
      { state: 'complete', message: { kind: 'push-pull', join: true } },
    ]);
  });
});
