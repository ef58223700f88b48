import { createPrivateKey, sign } from 'node:crypto';
import { fc, test } from '@fast-check/vitest';
import {
  ENVELOPE_OVERHEAD_BYTES,
  type Envelope,
  type EnvelopeHeader,
  expiryOf,
  isSignedBy,
  type KeyId,
  LONGEST_BODY_BYTES,
  LONGEST_ENVELOPE_BYTES,
  openEnvelope,
  sealEnvelope,
} from '@honeymesh/intel/envelope';
import { decodeAccusations, decodeLeave, decodeRekey, encodeAccusations, encodeLeave, encodeRekey, MOST_RECIPIENTS } from '@honeymesh/intel/envelope-bodies';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { edPublicOf, kidOf } from '#enforcer/mesh/signed/keys.ts';
import { CLUSTER, keyedHash, NOON, real, secretOf } from '#test/support/hm1.ts';

const secret = secretOf('envelope');
const publicKey = edPublicOf(secret);
const kid = kidOf(publicKey);
const header: EnvelopeHeader = { kid, epoch: 7, seq: 0x1_0000_0002, issuedAt: NOON, ttlS: 3_600, type: 'leave' };
const sealed = (body: Uint8Array, more: Partial<EnvelopeHeader> = {}): Uint8Array =>
  sealEnvelope({ ...header, ...more }, body, { clusterId: CLUSTER, secret, signatures: real });
const opened = (bytes: Uint8Array): Envelope => {
  const read = openEnvelope(bytes);
  if (!read.ok) throw new Error(read.why);
  return read.value;
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('the bytes of an envelope', () => {
  test('are laid out as documented, and signed with the domain and the cluster before them', () => {
    const bytes = sealed(Uint8Array.of(0, 0, 0, 9));
    const unsigned = [
      '484d31', // HM1
      '01',
      kid,
      '0000000000000007',
      '0000000100000002',
      `00000${NOON.toString(16)}`,
      '00000e10',
      '03',
      '00000009',
    ].join('');
    expect(hex(bytes).slice(0, -128)).toBe(unsigned);
    // The key and the signature by another way than ours: JWK and Buffers.
    const jwk = { kty: 'OKP', crv: 'Ed25519', d: Buffer.from(secret).toString('base64url'), x: Buffer.from(publicKey).toString('base64url') };
    const message = Buffer.concat([Buffer.from('HoneyMesh HM1 envelope\0', 'latin1'), CLUSTER, Buffer.from(unsigned, 'hex')]);
    expect(hex(bytes).slice(-128)).toBe(sign(null, message, createPrivateKey({ key: jwk, format: 'jwk' })).toString('hex'));
    expect(ENVELOPE_OVERHEAD_BYTES).toBe(109 - 4);
  });

  test('stay the same from version to version', () => {
    expect(kid).toBe('c1dbc3ad68305e87');
    expect(hex(sealed(Uint8Array.of(0, 0, 0, 9)))).toBe(
      '484d3101c1dbc3ad68305e8700000000000000070000000100000002000001a20d6d5a0000000e1003000000096e6e2ae0fedd49e1da0c5a066d5e8be5189359cd4c91831c1d53769ce950a9e6f99b63db3217e1643ff4cab4b36b9a5ee2257d105195c33a720d69ae9249740c',
    );
  });

  test('fit the largest user broadcast under label and AES, and not a byte more', () => {
    expect(sealed(new Uint8Array(LONGEST_BODY_BYTES))).toHaveLength(LONGEST_ENVELOPE_BYTES);
    expect(() => sealed(new Uint8Array(LONGEST_BODY_BYTES + 1))).toThrow(RangeError);
    expect(openEnvelope(new Uint8Array(LONGEST_ENVELOPE_BYTES + 1))).toEqual({ ok: false, why: 'too-long' });
  });

  test.prop([
    fc.record({
      epoch: fc.maxSafeNat(),
      seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      issuedAt: fc.maxSafeNat().map(unixMs),
      ttlS: fc.integer({ min: 1, max: 0xffff_ffff }),
      type: fc.constantFrom('intel', 'accusation', 'leave', 'rekey'),
    }),
    fc.uint8Array({ maxLength: LONGEST_BODY_BYTES }),
  ])('come back as what went in, and end a day after they were signed at the latest', (fields, body) => {
    const signatures = keyedHash();
    const bytes = sealEnvelope({ kid, ...fields }, body, { clusterId: CLUSTER, secret, signatures });
    const envelope = opened(bytes);
    expect(envelope).toMatchObject({ kid, ...fields });
    expect(hex(envelope.body)).toBe(hex(body));
    expect(isSignedBy(envelope, publicKey, CLUSTER, signatures)).toBe(true);
    expect(expiryOf(envelope)).toBe(Math.min(fields.issuedAt + fields.ttlS * 1_000, fields.issuedAt + DAY_MS));
  });

  test('are no envelope any more once one bit of them is changed', () => {
    const bytes = sealed(Uint8Array.of(0, 0, 0, 9));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const bent = bytes.slice();
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const read = openEnvelope(bent);
      if (read.ok) expect(isSignedBy(read.value, publicKey, CLUSTER, real), `bit ${bit}`).toBe(false);
    }
  });

  test('are refused with a byte more or less, of another cluster and under another key', () => {
    const bytes = sealed(Uint8Array.of(0, 0, 0, 9));
    for (let length = 0; length < bytes.length; length++) {
      const read = openEnvelope(bytes.subarray(0, length));
      if (read.ok) expect(isSignedBy(read.value, publicKey, CLUSTER, real)).toBe(false);
    }
    expect(isSignedBy(opened(Uint8Array.of(...bytes, 0)), publicKey, CLUSTER, real)).toBe(false);
    expect(isSignedBy(opened(bytes), publicKey, CLUSTER.toReversed(), real)).toBe(false);
    expect(isSignedBy(opened(bytes), edPublicOf(secretOf('other')), CLUSTER, real)).toBe(false);
    expect(isSignedBy(opened(bytes), new Uint8Array(32).fill(0xff), CLUSTER, real)).toBe(false);
  });

  test.each([
    ['another magic', 0, 0x49, 'not-hm1'],
    ['another version', 3, 2, 'unknown-version'],
    ['a type of nobody', 40, 99, 'unknown-type'],
    ['an epoch beyond 2^53', 12, 0x80, 'bad-number'],
    ['a seq beyond 2^53', 20, 0x80, 'bad-number'],
    ['a time beyond 2^53', 28, 0x80, 'bad-number'],
  ])('say why they are none: %s', (_, at, value, why) => {
    const bytes = sealed(Uint8Array.of(0, 0, 0, 9));
    bytes[at] = value;
    expect(openEnvelope(bytes)).toEqual({ ok: false, why });
  });

  test.each([
    ['seq', 20, 8],
    ['ttl', 36, 4],
  ])('have no %s of 0', (_, at, length) => {
    const bytes = sealed(Uint8Array.of(0, 0, 0, 9));
    bytes.fill(0, at, at + length);
    expect(openEnvelope(bytes)).toEqual({ ok: false, why: 'bad-number' });
  });
});

describe('the bodies of accusations, goodbyes and keys', () => {
  test('stay the same from version to version', () => {
    expect(hex(encodeAccusations([{ subject: 'n2', incarnation: 5 }]))).toBe('01' + '026e32' + '00000005');
    expect(hex(encodeLeave({ incarnation: 0x01020304 }))).toBe('01020304');
    const rekey = {
      generation: 3,
      useAt: unixMs(0x10000),
      dropOldAt: unixMs(0x20000),
      ephemeralPublic: new Uint8Array(32).fill(0xee),
      sealed: [{ recipient: '0102030405060708' as KeyId, bytes: new Uint8Array(48).fill(0xaa) }],
    };
    expect(hex(encodeRekey(rekey))).toBe(`00000003${'0'.repeat(11)}10000${'0'.repeat(11)}20000${'ee'.repeat(32)}01010203040506070830${'aa'.repeat(48)}`);
    expect(decodeRekey(encodeRekey(rekey))).toEqual({ ok: true, value: rekey });
  });

  test.prop([
    fc.array(fc.record({ subject: fc.string({ unit: fc.constantFrom('a', 'é', '\0'), minLength: 1, maxLength: 255 }), incarnation: fc.nat() }), {
      minLength: 1,
      maxLength: 32,
    }),
  ])('hold names of any bytes', accusations => {
    expect(decodeAccusations(encodeAccusations(accusations))).toEqual({ ok: true, value: accusations });
  });

  test('are refused when something is missing or left over', () => {
    for (const bytes of [encodeAccusations([{ subject: 'n2', incarnation: 5 }]), encodeLeave({ incarnation: 1 })]) {
      for (const bad of [bytes.subarray(1), bytes.subarray(0, -1), Uint8Array.of(...bytes, 0)]) {
        expect(decodeAccusations(bad).ok).toBe(false);
        if (bad.length !== 4) expect(decodeLeave(bad).ok).toBe(false);
        expect(decodeRekey(bad).ok).toBe(false);
      }
    }
  });

  test('carry the keys of some twenty hosts in one envelope', () => {
    const one = { recipient: '0102030405060708' as KeyId, bytes: new Uint8Array(48) };
    const rekey = {
      generation: 1,
      useAt: NOON,
      dropOldAt: NOON,
      ephemeralPublic: new Uint8Array(32),
      sealed: Array.from({ length: MOST_RECIPIENTS }, () => one),
    };
    expect(MOST_RECIPIENTS).toBe(21);
    expect(sealed(encodeRekey(rekey)).length).toBeLessThanOrEqual(LONGEST_ENVELOPE_BYTES);
  });
});
