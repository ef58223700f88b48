import { fc, test } from '@fast-check/vitest';
import { addressFromBytes, type Prefix, prefixOf } from '@honeymesh/intel/address';
import { adviceBytes, decodeIntel, encodeIntel, INTEL_ROOM_BYTES, isAdvisable, withdrawalBytes } from '@honeymesh/intel/advisories';
import { LONGEST_BODY_BYTES } from '@honeymesh/intel/envelope';
import { REASONS, reasonsOf } from '@honeymesh/intel/reasons';
import { describe, expect } from 'vitest';
import { advice, prefix } from '#test/support/hm1.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const target = fc
  .oneof(
    fc.tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.integer({ min: 24, max: 32 })),
    fc.tuple(
      fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Uint8Array.of(0x20, ...bytes.subarray(1))),
      fc.integer({ min: 48, max: 128 }),
    ),
  )
  .map(([bytes, bits]) => prefixOf(addressFromBytes(bytes), bits));
const someAdvice = fc.record({
  target,
  tier: fc.constantFrom('E1' as const, 'E2' as const),
  reasons: fc.integer({ min: 1, max: 2 ** REASONS.length - 1 }).map(reasonsOf),
  ttlS: fc.integer({ min: 1, max: 0xffff_ffff }),
});
const someWithdrawal = fc.record({ epoch: fc.maxSafeNat(), seq: fc.maxSafeNat(), asError: fc.boolean(), targets: fc.array(target, { maxLength: 6 }) });

describe('intel on the wire', () => {
  test('is laid out as documented', () => {
    const intel = {
      advice: [advice('203.0.113.7/32', { tier: 'E2', reasons: ['trap-touch', 'exploit'], ttlS: 86_400 }), advice('2001:db8:1:2::/64')],
      withdrawals: [{ epoch: 1, seq: 2, asError: true, targets: [prefix('203.0.113.0/24'), prefix('2001:db8::7/128')] }],
    };
    const bytes = encodeIntel(intel);
    expect(hex(bytes)).toBe(
      hex(
        unhex(
          `02 20cb007107 02 00000440 00015180  40 20010db800010002 01 00000040 00000e10
           01 0000000000000001 0000000000000002 01 02 18cb007100 8020010db8000000000000000000000007`.replaceAll('\n', ''),
        ),
      ),
    );
    expect(decodeIntel(bytes)).toEqual({ ok: true, value: intel });
  });

  test.prop([fc.array(someAdvice, { maxLength: 40 }), fc.array(someWithdrawal, { maxLength: 8 })])(
    'comes back as it went in, as long as it fits',
    (all, back) => {
      const bytes = encodeIntel({ advice: all, withdrawals: back });
      const size = all.reduce((sum, one) => sum + adviceBytes(one), 0) + back.reduce((sum, one) => sum + withdrawalBytes(one), 0);
      expect(bytes).toHaveLength(size + 2);
      const read = decodeIntel(bytes);
      if (all.length + back.length === 0) expect(read).toEqual({ ok: false, why: 'empty' });
      else if (size > INTEL_ROOM_BYTES) expect(read).toEqual({ ok: false, why: 'malformed' });
      else expect(read).toEqual({ ok: true, value: { advice: all, withdrawals: back } });
    },
  );

  test.prop([fc.uint8Array({ maxLength: LONGEST_BODY_BYTES })])('has one form only: what is read is written the same', bytes => {
    const read = decodeIntel(bytes);
    if (!read.ok) return;
    const known = read.value.advice.every(one => one.reasons.length > 0);
    const again = encodeIntel(read.value);
    expect(again).toHaveLength(bytes.length);
    for (const one of read.value.advice) expect(isAdvisable(one.target)).toBe(true);
    if (known) expect(decodeIntel(again)).toEqual(read);
  });

  test.each([
    ['a /23', '01 17cb007000 01 00000040 00000e10 00', 'too-wide'],
    ['a /47', '01 2f20010db800000000 01 00000040 00000e10 00', 'too-wide'],
    ['a default route', '01 00cb007000 01 00000040 00000e10 00', 'too-wide'],
    ['a /129', '01 8120010db8000000000000000000000007 01 00000040 00000e10 00', 'bad-target'],
    ['host bits', '01 18cb007107 01 00000040 00000e10 00', 'bad-target'],
    ['IPv4 in IPv6', '01 8000000000000000000000ffffcb007107 01 00000040 00000e10 00', 'bad-target'],
    ['spoofed evidence', '01 20cb007107 00 00000040 00000e10 00', 'bad-tier'],
    ['an order of an operator', '01 20cb007107 03 00000040 00000e10 00', 'bad-tier'],
    ['no reason', '01 20cb007107 01 00000000 00000e10 00', 'no-reason'],
    ['no life', '01 20cb007107 01 00000040 00000000 00', 'bad-ttl'],
    ['more after the end', '01 20cb007107 01 00000040 00000e10 00 00', 'malformed'],
    ['less than it says', '02 20cb007107 01 00000040 00000e10 00', 'malformed'],
    ['a cause of nobody', '00 01 0000000000000001 0000000000000002 02 00', 'malformed'],
    ['nothing at all', '0000', 'empty'],
  ])('is refused with %s', (_, bytes, why) => {
    expect(decodeIntel(unhex(bytes))).toEqual({ ok: false, why });
  });

  test('cannot be written where nobody would read it', () => {
    expect(() => encodeIntel({ advice: [advice('203.0.112.0/23')], withdrawals: [] })).toThrow(RangeError);
    expect(isAdvisable('203.0.112.0/23' as Prefix)).toBe(false);
    expect(isAdvisable('203.0.112.0/24' as Prefix)).toBe(true);
    expect(isAdvisable('2001:db8::/47' as Prefix)).toBe(false);
  });
});
