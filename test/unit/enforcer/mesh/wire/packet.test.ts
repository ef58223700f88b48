/** Datagrams: memberlist's net_test.go, util_test.go and label_test.go where they are about bytes, and our limits. */
import { describe, expect, test } from 'vitest';
import { MESSAGE_TYPE, type Message } from '#enforcer/mesh/protocol/messages.ts';
import { COMPRESSED } from '#enforcer/mesh/protocol/wire/bodies.ts';
import { joined, NO_BYTES } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { compound, partsOf } from '#enforcer/mesh/protocol/wire/compound.ts';
import { compressed } from '#enforcer/mesh/protocol/wire/compression.ts';
import { describeFault } from '#enforcer/mesh/protocol/wire/faults.ts';
import { createKeyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { labelHeader, labelOverhead, readLabel } from '#enforcer/mesh/protocol/wire/label.ts';
import { WIRE_LIMITS } from '#enforcer/mesh/protocol/wire/limits.ts';
import { compressLzw } from '#enforcer/mesh/protocol/wire/lzw.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import {
  CHECKSUM_OVERHEAD,
  decodePacket,
  LARGEST_PACKET,
  largestUserPayload,
  type OpenOptions,
  packetBudget,
  type SealOptions,
  sealPacket,
  takesChecksum,
} from '#enforcer/mesh/protocol/wire/packet.ts';
import { ascii, countedKey, fromHex } from '#test/support/memberlist-vectors.ts';

const clear: SealOptions = { label: NO_BYTES, keyring: null, compress: false, checksum: false, encryption: 1, nonce: new Uint8Array(12).fill(5) };
const opening: OpenOptions = { label: NO_BYTES, keyring: null, verifyIncoming: true };
const label = ascii('honeymesh');
const keyring = createKeyring([countedKey(32)]);

const ping = (sequence: number): Message => ({ kind: 'ping', sequence, node: '' });
const user = (length: number): Message => ({ kind: 'user', payload: new Uint8Array(length).fill(0x75) });
const bytesOf = (message: Message): Uint8Array => encodeMessage(message);
const taken = (packet: Uint8Array, options: Partial<OpenOptions> = {}): unknown => {
  const opened = decodePacket(packet, { ...opening, ...options });
  if (!opened.ok) return opened.why;
  const { messages, refused, cutOff } = opened.value;
  return cutOff > 0 ? [messages, refused, cutOff] : [messages, refused];
};

describe('compound', () => {
  const three = [ping(100), ping(100), ping(100)];

  test('three pings make one packet and three pings again', () => {
    const packet = sealPacket(three.map(bytesOf), clear);
    expect(packet).toHaveLength(2 + 3 * 2 + 3 * bytesOf(ping(100)).length);
    expect(taken(packet)).toEqual([three, []]);
  });

  test('cut off at byte 38, it has two pings and one that is gone', () => {
    expect(taken(compound(three.map(bytesOf)).subarray(0, 38))).toEqual([[ping(100), ping(100)], [], 1]);
  });

  test.each([
    ['a number of parts and no table', '0780'],
    ['a table that is cut short', '07020011'],
    ['a type and no number', '07'],
  ])('%s is refused', (_, hex) => expect(taken(fromHex(hex))).toEqual([[], ['truncated']]));

  test('what is wrong with one part is told, the others are taken', () => {
    const packet = compound([bytesOf(ping(1)), Uint8Array.of(99), NO_BYTES, Uint8Array.of(MESSAGE_TYPE.ack, 0xc1), bytesOf(ping(2))]);
    expect(taken(packet)).toEqual([
      [ping(1), ping(2)],
      ['unknown-type', 'empty', 'malformed'],
    ]);
  });

  test('256 parts, or one of 64 KiB, are never sent: their number would wrap', () => {
    expect(() => compound(Array.from({ length: 256 }, () => NO_BYTES))).toThrow(RangeError);
    expect(() => compound([new Uint8Array(65_536)])).toThrow(RangeError);
    expect(partsOf(compound(Array.from({ length: 255 }, () => NO_BYTES)))).toMatchObject({ ok: true, value: { cutOff: 0 } });
  });
});

describe('checksum', () => {
  test('it is taken where it is right, and the packet dropped where it is not', () => {
    const packet = sealPacket([bytesOf(user(3))], { ...clear, checksum: true });
    expect(packet).toHaveLength(4 + CHECKSUM_OVERHEAD);
    expect(taken(packet)).toEqual([[user(3)], []]);
    for (let at = 1; at < packet.length; at++) expect(taken(packet.with(at, (packet[at] ?? 0) ^ 0x10))).toBe('checksum');
  });

  test('whether there was one is told', () => {
    const told = [true, false].map(checksum => decodePacket(sealPacket([bytesOf(user(3))], { ...clear, checksum }), opening));
    expect(told).toMatchObject([{ value: { checked: true } }, { value: { checked: false } }]);
  });

  test('it is sent to whom it is known to be understood by', () => {
    expect([null, 2, 4, 5, 6].map(takesChecksum)).toEqual([false, false, false, true, true]);
  });

  test('inside of anything else it is not understood, as in Go', () => {
    const inner = sealPacket([bytesOf(ping(1))], { ...clear, checksum: true });
    expect(taken(compound([inner]))).toEqual([[], ['unknown-type']]);
    expect(taken(sealPacket([inner], { ...clear, checksum: true }))).toEqual([[], ['unknown-type']]);
  });

  test('four bytes cannot hold one', () => expect(taken(Uint8Array.of(MESSAGE_TYPE.crc, 0, 0, 0))).toEqual([[], ['unknown-type']]));
});

describe('compression', () => {
  test('is sent only where it is shorter', () => {
    const noise = bytesOf({ kind: 'user', payload: countedKey(200) });
    expect(sealPacket([noise], { ...clear, compress: true })).toEqual(noise);
    const [first] = sealPacket([bytesOf(user(500))], { ...clear, compress: true });
    expect(first).toBe(MESSAGE_TYPE.compress);
  });

  test('within a compound and around one', () => {
    const inner = compressed(compound([bytesOf(user(300)), bytesOf(ping(1))]));
    expect(taken(compound([bytesOf(ping(7)), inner]))).toEqual([[ping(7), user(300), ping(1)], []]);
  });

  test.each([
    ['of nothing', compressed(NO_BYTES), 'empty-expansion'],
    ['of another algorithm', fromHex('0982a4416c676f01a3427566ab00e9949943278d9b330101'), 'bad-compression'],
    ['cut short', compressed(bytesOf(user(50))).subarray(0, 20), 'truncated'],
    ['that is none', fromHex('0982a4416c676f00a3427566a3ffffff'), 'bad-compression'],
  ])('%s is refused', (_, packet, why) => expect(taken(packet)).toEqual([[], [why]]));
});

describe('label', () => {
  test.each([0, 1, 9, 255])('of %i bytes: header, overhead and back', length => {
    const long = new Uint8Array(length).fill(0x61);
    expect(labelHeader(long)).toHaveLength(labelOverhead(long));
    expect(labelOverhead(long)).toBe(length === 0 ? 0 : 2 + length);
    expect(readLabel(joined(labelHeader(long), Uint8Array.of(1)))).toEqual({ ok: true, value: { label: long, end: labelOverhead(long) } });
    expect(taken(sealPacket([bytesOf(ping(1))], { ...clear, label: long }), { label: long })).toEqual([[ping(1)], []]);
  });

  test('of 256 bytes is never sent', () => expect(() => labelHeader(new Uint8Array(256))).toThrow(RangeError));

  const plain = bytesOf(ping(1));
  test.each([
    ['none, where ours is expected', plain, label, 'label-missing'],
    ['another than ours', joined(labelHeader(ascii('blah')), plain), label, 'label-differs'],
    ['one, where none is expected', joined(labelHeader(label), plain), NO_BYTES, 'label-unexpected'],
    ['ours twice', joined(labelHeader(label), labelHeader(label), plain), label, [[], ['unknown-type']]],
    ['of no length', Uint8Array.of(244, 0, 0), label, 'label-malformed'],
    ['cut short', labelHeader(label).subarray(0, 7), label, 'label-malformed'],
    ['without a length', Uint8Array.of(244), label, 'label-malformed'],
    ['ours and nothing else', labelHeader(label), label, 'empty'],
  ] as const)('%s', (_, packet, ours, expected) => expect(taken(packet, { label: ours })).toEqual(expected));

  test('where the check is left to others no header may come, and the label is authenticated all the same', () => {
    const options = { label, keyring, skipLabelCheck: true };
    const packet = sealPacket([plain], { ...clear, label, keyring });
    expect(taken(packet, options)).toBe('label-unexpected');
    expect(taken(packet.subarray(labelOverhead(label)), options)).toEqual([[ping(1)], []]);
    expect(taken(sealPacket([plain], { ...clear, keyring }), options)).toBe('no-key-fits');
  });
});

describe('encryption', () => {
  const plain = bytesOf(ping(1));
  const options = { label, keyring, verifyIncoming: true };

  test('all layers at once, and the nonce is told for whoever remembers nonces', () => {
    const packet = sealPacket([bytesOf(user(400)), plain], { label, keyring, compress: true, checksum: true, encryption: 0, nonce: clear.nonce });
    const opened = decodePacket(packet, options);
    expect(opened).toMatchObject({ ok: true, value: { messages: [user(400), ping(1)], refused: [], sealed: { nonce: clear.nonce, key: keyring.primary } } });
  });

  test('clear packets are refused, unless the cluster is being moved', () => {
    const packet = sealPacket([plain], { ...clear, label });
    expect(taken(packet, options)).toBe('ciphertext-too-short');
    expect(taken(sealPacket([bytesOf({ kind: 'user', payload: countedKey(200) })], { ...clear, label }), options)).toBe('encryption-version');
    expect(taken(packet, { ...options, verifyIncoming: false })).toEqual([[ping(1)], []]);
  });

  test('while it is being moved, what another key sealed is read as it is, and is nothing', () => {
    const packet = sealPacket([plain], { ...clear, label, keyring: createKeyring([countedKey(16)]) });
    expect(taken(packet, options)).toBe('no-key-fits');
    expect(taken(packet, { ...options, verifyIncoming: false })).toEqual([[], ['malformed']]);
  });

  test('without keys nothing is decrypted', () => {
    const packet = sealPacket([plain], { ...clear, keyring });
    expect(taken(packet, { keyring: createKeyring() })).toEqual([[], ['malformed']]);
  });

  test('an empty plaintext and bad padding are faults with a reason', () => {
    expect(taken(sealPacket([NO_BYTES], { ...clear, keyring }), { keyring })).toBe('empty-plaintext');
    expect(describeFault('empty-plaintext')).toBe('nothing was encrypted in it');
  });
});

describe('budget', () => {
  const none = { label: NO_BYTES, encryption: null };
  test.each([
    ['clear', none, 1398, 1395],
    ['label and AES', { label, encryption: 1 as const }, 1358, 1355],
    ['label and padded AES', { label, encryption: 0 as const }, 1342, 1339],
    ['a smaller packet', { ...none, largestPacket: 1200 }, 1198, 1195],
  ])('%s', (_, options, budget, payload) => {
    expect(packetBudget(options)).toBe(budget);
    expect(largestUserPayload(options)).toBe(payload);
  });

  test.each([0, 1] as const)('what fills the budget fills a packet of 1400 bytes and no more, encryption version %i', encryption => {
    const largest = bytesOf(user(largestUserPayload({ label, encryption }) - 40));
    const second = bytesOf(user(40 - 3));
    expect(2 + largest.length + 2 + second.length).toBe(packetBudget({ label, encryption }));
    const packet = sealPacket([largest, second], { ...clear, label, keyring, encryption });
    expect(packet.length).toBeLessThanOrEqual(LARGEST_PACKET);
    expect(packet.length).toBeGreaterThan(LARGEST_PACKET - 16);
  });
});

describe('limits of ours', () => {
  const nested = (wrap: (inner: Uint8Array) => Uint8Array, times: number): Uint8Array => {
    let packet = bytesOf(ping(1));
    for (let depth = 0; depth < times; depth++) packet = wrap(packet);
    return packet;
  };

  test.each([
    ['compounds', (inner: Uint8Array) => compound([inner])],
    ['compressions', compressed],
  ])('four %s around a message are taken, five are not', (_, wrap) => {
    expect(taken(nested(wrap, 4))).toEqual([[ping(1)], []]);
    expect(taken(nested(wrap, 5))).toEqual([[], ['too-deep']]);
  });

  test('a bomb is refused, and a second one beside it is not expanded at all', () => {
    const bomb = compressed(new Uint8Array(4 * 1024 * 1024));
    const startedAt = performance.now();
    expect(taken(compound([bomb, ...Array.from({ length: 15 }, () => bomb), bytesOf(ping(1))]))).toEqual([
      [ping(1)],
      Array.from({ length: 16 }, () => 'expands-too-far'),
    ]);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  test('behind a compression that breaks off none is expanded: many of them would cost many limits', () => {
    const breaksOff = COMPRESSED.message(MESSAGE_TYPE.compress, { Algo: 0, Buf: compressLzw(new Uint8Array(9000)).subarray(0, 20) });
    expect(taken(compound([compressed(bytesOf(user(50))), breaksOff, compressed(bytesOf(user(60))), bytesOf(ping(1))]))).toEqual([
      [user(50), ping(1)],
      ['bad-compression', 'expands-too-far'],
    ]);
  });

  test('what several parts expand to counts together', () => {
    const half = compressed(bytesOf(user(1_100_000)));
    expect(taken(compound([half, half]))).toEqual([[user(1_100_000)], ['expands-too-far']]);
  });

  test('compounds of compounds yield a thousand messages at the most', () => {
    const inner = compound(Array.from({ length: 255 }, () => bytesOf(user(0))));
    const opened = decodePacket(compound(Array.from({ length: 200 }, () => inner)), opening);
    expect(opened).toMatchObject({ ok: true, value: { refused: ['too-many'] } });
    expect(opened.ok && opened.value.messages.length).toBe(WIRE_LIMITS.packetMessages);
  });

  test('the messages of a datagram do not share its bytes', () => {
    const packet = Buffer.from(compound([bytesOf(user(3)), bytesOf({ kind: 'ack', sequence: 1, payload: ascii('xyz') })]));
    const before = taken(packet);
    const encrypted = Buffer.from(sealPacket([bytesOf(ping(1))], { ...clear, keyring }));
    const opened = decodePacket(encrypted, { ...opening, keyring });
    packet.fill(0);
    encrypted.fill(0);
    expect(opened).toMatchObject({ value: { sealed: { nonce: clear.nonce } } });
    expect(before).toEqual([[user(3), { kind: 'ack', sequence: 1, payload: ascii('xyz') }], []]);
  });

  test.each([
    ['an empty datagram', NO_BYTES, 'empty'],
    ['a push/pull, which streams carry', fromHex('0683a44a6f696ec3a54e6f64657300ac5573657253746174654c656e00'), [[], ['unknown-type']]],
    ['an error, which streams carry', bytesOf({ kind: 'error', text: 'no' }), [[], ['unknown-type']]],
    ['a frame of a stream', Uint8Array.of(MESSAGE_TYPE.encrypt, 0, 0, 0, 1, 0), [[], ['unknown-type']]],
    ['a name of 513 bytes', bytesOf({ kind: 'suspect', incarnation: 1, node: 'n'.repeat(513), from: '' }), [[], ['too-long']]],
    [
      'a reply to an address of five bytes',
      bytesOf({ kind: 'ping', sequence: 1, node: '', replyTo: { address: countedKey(5), port: 1, node: '' } }),
      [[], ['bad-address']],
    ],
  ])('%s is refused', (_, packet, expected) => expect(taken(packet)).toEqual(expected));

  test('a reply address without a port is no reply address', () => {
    const message = { kind: 'ping', sequence: 1, node: 'n', replyTo: { address: countedKey(4), port: 0, node: 'x' } } as const;
    expect(taken(bytesOf(message))).toEqual([[{ kind: 'ping', sequence: 1, node: 'n' }], []]);
  });

  test('a name that is not made of bytes is a bug of ours', () => {
    expect(() => encodeMessage({ kind: 'suspect', incarnation: 1, node: 'nøde-蜜', from: '' })).toThrow(RangeError);
  });
});
