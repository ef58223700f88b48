/** A disk may hold anything: what is read back is what was written, or nothing. */
import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { decodeEnvelopes, encodeEnvelopes } from '#enforcer/mesh/state/envelope-file.ts';
import {
  decodeEpoch,
  decodeIdentity,
  decodeKeys,
  decodeMembership,
  decodeTrust,
  decodeUse,
  encodeKeys,
  encodeMembership,
  encodeTrust,
} from '#enforcer/mesh/state/records.ts';
import { CLUSTER, secretOf } from '#test/support/hm1.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const membership = fc.record({
  bind: fc.string({ maxLength: 60 }),
  join: fc.array(fc.string({ maxLength: 60 }), { maxLength: 5 }),
  label: fc.string({ maxLength: 60 }),
  registrar: fc.option(fc.record({ address: fc.string({ maxLength: 60 }), pin: bytes(32) })),
});
const keys = fc.record({ keys: fc.array(fc.oneof(bytes(16), bytes(24), bytes(32)), { maxLength: 16 }), generation: fc.maxSafeNat() });
const decoders = [decodeEpoch, decodeIdentity, decodeKeys, decodeMembership, decodeTrust, decodeUse];

describe('a kept record', () => {
  test.prop([membership, keys])('comes back as it was', (one, ring) => {
    expect(decodeMembership(encodeMembership(one))).toEqual(one);
    expect(decodeKeys(encodeKeys(ring))).toEqual(ring);
  });

  test.prop([
    fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map(value => JSON.stringify({ version: 1, ...(typeof value === 'object' ? value : {}) })),
    ),
  ])('that is no record is none, and nothing is thrown', text => {
    for (const decode of decoders) expect(decode(text) ?? null).toBeNull();
  });

  test.prop([fc.nat(), fc.string({ minLength: 1, maxLength: 3 })])('that was damaged is never half of it', (at, noise) => {
    const trust = {
      clusterId: CLUSTER,
      rootPublic: secretOf('root'),
      certificate: secretOf('c'),
      registrars: [],
      revocations: [secretOf('r')],
      names: ['alba'],
    };
    const text = encodeTrust(trust);
    const cut = at % text.length;
    const read = decodeTrust(text.slice(0, cut) + noise + text.slice(cut + noise.length));
    if (read === null) return;
    expect([read.clusterId.length, read.rootPublic.length, read.registrars.length, read.revocations.length, read.names.length]).toEqual([16, 32, 0, 1, 1]);
  });
});

describe('a file of envelopes', () => {
  const envelopes = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });

  test.prop([envelopes])('comes back as it was', all => {
    expect(decodeEnvelopes(encodeEnvelopes(all))).toEqual(all);
  });

  test.prop([envelopes, fc.nat(), fc.integer({ min: 1, max: 255 })])('with any byte changed is none', (all, at, flip) => {
    const file = Uint8Array.from(encodeEnvelopes(all));
    file[at % file.length] = (file[at % file.length] ?? 0) ^ flip;
    expect(decodeEnvelopes(file)).toBeNull();
  });

  test.prop([fc.uint8Array({ maxLength: 2_000 })])('is not made of noise', noise => {
    expect(decodeEnvelopes(noise)).toBeNull();
  });
});
