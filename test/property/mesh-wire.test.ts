/** The wire's round trips, and what must hold for any bytes. */
import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { compound, partsOf } from '#enforcer/mesh/protocol/wire/compound.ts';
import { createKeyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { labelOverhead } from '#enforcer/mesh/protocol/wire/label.ts';
import { compressLzw, expandLzw } from '#enforcer/mesh/protocol/wire/lzw.ts';
import { decodeMessage, encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { decodePacket, largestUserPayload, packetBudget, sealPacket } from '#enforcer/mesh/protocol/wire/packet.ts';
import { createStreamReader, type StreamReading } from '#enforcer/mesh/protocol/wire/stream-reader.ts';
import { encodeStream } from '#enforcer/mesh/protocol/wire/stream-writer.ts';
import { isBounded, packetMessage, streamMessage } from '#test/support/mesh-messages.ts';

const NIGHTLY = process.env.HONEYMESH_NIGHTLY === '1';
const RUNS = { numRuns: NIGHTLY ? 20_000 : 200 };

const label = fc.uint8Array({ maxLength: 255 });
const keyring = fc
  .array(fc.constantFrom(16, 24, 32), { maxLength: 3 })
  .chain(sizes => fc.tuple(...sizes.map(size => fc.uint8Array({ minLength: size, maxLength: size }))))
  .map(keys => (keys.length === 0 ? null : createKeyring(keys)));
const cover = fc.record({
  label,
  keyring,
  compress: fc.boolean(),
  checksum: fc.boolean(),
  encryption: fc.constantFrom(0 as const, 1 as const),
  nonce: fc.uint8Array({ minLength: 12, maxLength: 12 }),
});

describe('messages', () => {
  test.prop([packetMessage], RUNS)('what was encoded is decoded to the same', message => {
    expect(decodeMessage(encodeMessage(message))).toEqual({ ok: true, value: message });
  });

  test.prop([packetMessage, fc.nat()], RUNS)('cut anywhere, it is a shorter message or a fault, and never more than was there', (message, at) => {
    const bytes = encodeMessage(message);
    const cut = decodeMessage(bytes.subarray(0, at % bytes.length));
    if (message.kind !== 'user') expect(cut.ok).toBe(false);
  });

  test.prop([fc.uint8Array({ maxLength: 2000 })], RUNS)('any bytes are a bounded message or a fault', bytes => {
    const decoded = decodeMessage(bytes);
    if (decoded.ok) expect(isBounded(decoded.value)).toBe(true);
  });
});

describe('packets', () => {
  test.prop([fc.array(packetMessage, { minLength: 1, maxLength: 12 }), cover], RUNS)(
    'whatever covers them, all messages come back in order',
    (messages, options) => {
      const packet = sealPacket(messages.map(encodeMessage), options);
      const opened = decodePacket(packet, { ...options, verifyIncoming: true });
      expect(opened).toMatchObject({ ok: true, value: { messages, refused: [], cutOff: 0 } });
    },
  );

  test.prop([fc.array(packetMessage, { minLength: 1, maxLength: 4 }), cover, fc.nat(), fc.integer({ min: 1, max: 255 })], RUNS)(
    'one changed byte of an encrypted packet, but for its version, and nothing of it is taken',
    (messages, options, at, change) => {
      fc.pre(options.keyring !== null);
      const packet = sealPacket(messages.map(encodeMessage), options);
      const index = at % packet.length;
      // memberlist does not authenticate the version: see the test on it in encryption.test.ts.
      fc.pre(index !== labelOverhead(options.label));
      packet[index] = (packet[index] ?? 0) ^ change;
      expect(decodePacket(packet, { ...options, verifyIncoming: true }).ok).toBe(false);
    },
  );

  test.prop([fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 255 }), fc.nat()], RUNS)(
    'a compound cut anywhere keeps the parts before the cut',
    (parts, at) => {
      const bytes = compound(parts);
      expect(partsOf(bytes)).toEqual({ ok: true, value: { parts, cutOff: 0 } });
      const cut = partsOf(bytes.subarray(0, at % bytes.length));
      if (cut.ok) {
        expect(cut.value.parts).toEqual(parts.slice(0, cut.value.parts.length));
        expect(cut.value.parts.length + cut.value.cutOff).toBe(parts.length);
      }
    },
  );

  test.prop([label, cover, fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 })], RUNS)(
    'what the budget takes fits into 1400 bytes',
    (ours, options, sizes) => {
      const encryption = options.keyring === null ? null : options.encryption;
      let left = packetBudget({ label: ours, encryption });
      const parts: Uint8Array[] = [];
      for (const size of sizes) {
        if (size + 2 > left) continue;
        left -= size + 2;
        parts.push(new Uint8Array(size).fill(0xee));
      }
      const packet = sealPacket(parts, { ...options, label: ours, compress: false, checksum: false });
      expect(packet.length).toBeLessThanOrEqual(1400);
      expect(largestUserPayload({ label: ours, encryption })).toBe(packetBudget({ label: ours, encryption }) - 3);
    },
  );
});

describe('LZW', () => {
  const plain = fc.oneof(
    fc.uint8Array({ maxLength: 6000 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat({ max: 3000 }))
      .map(([word, times]) => Uint8Array.from({ length: word.length * times }, (_, at) => word[at % word.length] ?? 0)),
  );

  test.prop([plain], RUNS)('what was compressed expands to the same, and not under a lower limit', bytes => {
    const packed = compressLzw(bytes);
    expect(expandLzw(packed, bytes.length)).toEqual({ ok: true, value: bytes });
    if (bytes.length > 0) expect(expandLzw(packed, bytes.length - 1)).toEqual({ ok: false, why: 'expands-too-far' });
  });

  test.prop([fc.uint8Array({ maxLength: 3000 }), fc.nat({ max: 5000 })], RUNS)('any bytes expand to no more than the limit', (bytes, limit) => {
    const expansion = expandLzw(bytes, limit);
    if (expansion.ok) expect(expansion.value.length).toBeLessThanOrEqual(limit);
  });
});

describe('streams', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 });

  test.prop([streamMessage, cover, cuts, fc.boolean()], RUNS)('in any chunks, the message comes with its last byte', (message, options, sizes, fromDialer) => {
    const bytes = encodeStream(message, { ...options, role: fromDialer ? 'dialer' : 'acceptor' });
    const reader = createStreamReader({ ...options, role: fromDialer ? 'acceptor' : 'dialer', verifyIncoming: true });
    let [at, turn]: [number, number] = [0, 0];
    let last: StreamReading = { state: 'more' };
    while (at < bytes.length) {
      expect(last).toEqual({ state: 'more' });
      const size = sizes[turn++ % sizes.length] ?? 1;
      last = reader.push(bytes.subarray(at, at + size));
      at += size;
    }
    expect(last).toMatchObject({ state: 'complete', message, refusedMembers: 0 });
  });

  test.prop([fc.uint8Array({ maxLength: 3000 }), cover, cuts], RUNS)('any bytes in any chunks say the same as in one', (bytes, options, sizes) => {
    const reading = { ...options, keyring: null, role: 'dialer' as const, verifyIncoming: true };
    const whole = createStreamReader(reading);
    const chunked = createStreamReader(reading);
    let [at, turn]: [number, number] = [0, 0];
    while (at < bytes.length) {
      const size = sizes[turn++ % sizes.length] ?? 1;
      chunked.push(bytes.subarray(at, at + size));
      at += size;
    }
    whole.push(bytes);
    expect(chunked.end()).toEqual(whole.end());
  });
});
