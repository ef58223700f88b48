import { fc, test } from '@fast-check/vitest';
import { kidFromBytes } from '@honeymesh/intel/envelope';
import { expect } from 'vitest';
import { type Digest, decodeExchange, type ExchangeParts, encodeExchange, MOST_EXCHANGE_BYTES } from '#enforcer/mesh/signed/exchange-format.ts';
import { createSeen } from '#enforcer/mesh/signed/seen.ts';

const kid = fc.uint8Array({ minLength: 8, maxLength: 8 }).map(kidFromBytes);
const ranges = fc
  .array(
    fc.oneof(
      fc.integer({ min: 1, max: 300 }),
      fc.maxSafeNat().map(seq => seq || 1),
    ),
    { maxLength: 40 },
  )
  .map(numbers => {
    const seen = createSeen();
    for (const number of numbers) seen.add(number);
    return seen.ranges().map(([from, to]) => [from, to] as const);
  });
const epochs = fc.uniqueArray(fc.record({ epoch: fc.maxSafeNat(), ranges }), { selector: ({ epoch }) => epoch, maxLength: 4 });
const digest = fc.record({ partial: fc.boolean(), speakers: fc.array(fc.tuple(kid, epochs), { maxLength: 6 }).map(pairs => new Map(pairs)) });
const holdings = fc.record({
  lists: fc.array(fc.tuple(kid, fc.record({ number: fc.nat(0xffff_ffff), hash: fc.nat(0xffff_ffff) })), { maxLength: 4 }).map(pairs => new Map(pairs)),
  registrars: fc.array(kid.map(String), { maxLength: 4 }).map(hashes => new Set(hashes)),
});
const some = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 });
const parts: fc.Arbitrary<ExchangeParts> = fc.record({
  digest: fc.option(digest),
  holdings: fc.option(holdings),
  certificates: some,
  revocations: some,
  envelopes: some,
});

test.prop([parts])('what members tell each other comes back as it went in', told => {
  expect(decodeExchange(encodeExchange(told))).toEqual({ ok: true, value: told });
});

test('the bytes stay the same from version to version', () => {
  const speakers: Digest['speakers'] = new Map([
    [
      kidFromBytes(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)),
      [
        {
          epoch: 9,
          ranges: [
            [1, 5],
            [300, 300],
          ],
        },
      ],
    ],
  ]);
  const bytes = encodeExchange({ digest: { partial: true, speakers }, holdings: null, certificates: [], revocations: [], envelopes: [Uint8Array.of(0xee)] });
  expect(Buffer.from(bytes).toString('hex')).toBe(
    ['484d5301', '0100000019', '01', '0102030405060708', '01', '0000000000000009', '0002', '0104', 'a70200', '0500000001', 'ee'].join(''),
  );
});

test('sections of a later version are skipped, what is cut or too long is refused', () => {
  const head = [0x48, 0x4d, 0x53, 1];
  expect(decodeExchange(Uint8Array.of(...head, 77, 0, 0, 0, 2, 1, 2, 5, 0, 0, 0, 1, 0xee))).toMatchObject({
    ok: true,
    value: { digest: null, envelopes: [Uint8Array.of(0xee)] },
  });
  expect(decodeExchange(Uint8Array.of(...head, 77, 0, 0, 0, 3, 1, 2))).toEqual({ ok: false, why: 'malformed' });
  expect(decodeExchange(Uint8Array.of(...head, 77, 0xff, 0xff, 0xff, 0xff))).toEqual({ ok: false, why: 'malformed' });
  expect(decodeExchange(Uint8Array.of(0x48, 0x4d, 0x53, 2))).toEqual({ ok: false, why: 'not-ours' });
  expect(decodeExchange(new Uint8Array(MOST_EXCHANGE_BYTES + 1))).toEqual({ ok: false, why: 'too-long' });
});

test('a range that never ends, and a digest of millions, cost nothing', () => {
  const head = [0x48, 0x4d, 0x53, 1];
  const speaker = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
  const endless = [...speaker, ...new Array<number>(20).fill(0xff)];
  const digestOf = (bytes: readonly number[]): Uint8Array => Uint8Array.of(...head, 1, 0, 0, 0, bytes.length + 1, 0, ...bytes);
  expect(decodeExchange(digestOf(endless))).toEqual({ ok: false, why: 'malformed' });
  const manyRanges = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
  expect(decodeExchange(digestOf(manyRanges))).toEqual({ ok: false, why: 'malformed' });
  const full = new Uint8Array(MOST_EXCHANGE_BYTES);
  full.set(head);
  for (let at = 4; at + 5 <= full.length; at += 5) full[at] = 5;
  const startedAt = performance.now();
  expect(decodeExchange(full)).toEqual({ ok: false, why: 'malformed' });
  expect(performance.now() - startedAt).toBeLessThan(500);
});
