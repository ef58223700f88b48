import { createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { fc, test } from '@fast-check/vitest';
import { decodeRekey, encodeRekey, type SealedKey } from '@honeymesh/intel/envelope-bodies';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { createKeySchedule } from '#enforcer/mesh/signed/key-schedule.ts';
import { edPublicOf, sharedSecret, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createNonceMemory } from '#enforcer/mesh/signed/nonce-memory.ts';
import { bodiesFor, type GroupKey, openGroupKey, sealForAll, sealGroupKey } from '#enforcer/mesh/signed/sealed-keys.ts';
import { CLUSTER, NOON, real, secretOf, trust } from '#test/support/hm1.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

describe('keys', () => {
  test('of 32 bytes are those of the RFCs', () => {
    // RFC 8032, 7.1, test 2.
    const secret = unhex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
    const signature = '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00';
    expect(hex(edPublicOf(secret))).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
    expect(hex(real.sign(secret, Uint8Array.of(0x72)))).toBe(signature);
    expect(real.verify(edPublicOf(secret), Uint8Array.of(0x72), unhex(signature))).toBe(true);
    // RFC 7748, 5.2, first vector.
    const scalar = unhex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4');
    const point = unhex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c');
    expect(hex(sharedSecret(scalar, point) ?? new Uint8Array(0))).toBe('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552');
  });

  test('of small order give no shared secret, and keys of the wrong length no answer', () => {
    expect(sharedSecret(secretOf('x'), new Uint8Array(32))).toBeNull();
    expect(sharedSecret(secretOf('x'), new Uint8Array(31))).toBeNull();
    expect(real.verify(new Uint8Array(31), new Uint8Array(1), new Uint8Array(64))).toBe(false);
    expect(real.verify(edPublicOf(secretOf('x')), new Uint8Array(1), new Uint8Array(63))).toBe(false);
  });
});

describe('a sealed group key', () => {
  const trusted = trust(real);
  const hosts = [trusted.host('db1'), trusted.host('db2'), trusted.host('db3')] as const;
  const from = { clusterId: CLUSTER, issuer: trusted.registrar.kid };
  const group: GroupKey = { generation: 7, key: secretOf('group'), useAt: unixMs(NOON + 5_000), dropOldAt: unixMs(NOON + 60_000) };
  const sealing = { ...from, ephemeralSecret: secretOf('ephemeral') };
  const recipients = [hosts[0].certificate, hosts[1].certificate];
  const rekey = sealGroupKey(group, recipients, sealing);
  const [one, other] = rekey.sealed as [SealedKey, SealedKey];
  const keysOf = (at: 0 | 1 | 2) => ({ kid: hosts[at].certificate.kid, xSecret: hosts[at].xSecret });

  test('is opened by each of those it is for, after a way over the wire, and by nobody else', () => {
    const read = decodeRekey(encodeRekey(rekey));
    if (!read.ok) throw new Error(read.why);
    expect(openGroupKey(read.value, keysOf(0), from)).toEqual(group);
    expect(openGroupKey(read.value, keysOf(1), from)).toEqual(group);
    expect(openGroupKey(read.value, keysOf(2), from)).toBeNull();
    expect(openGroupKey(read.value, { ...keysOf(0), xSecret: keysOf(2).xSecret }, from)).toBeNull();
  });

  test('reaches a thousand hosts in some fifty envelopes, each with a key of its own', () => {
    const crowd = Array.from({ length: 50 }, (_, at) => trusted.host(`h${at}`));
    const secrets = [0, 1, 2].map(at => secretOf(`ephemeral ${at}`));
    expect([bodiesFor(50), bodiesFor(1_000)]).toEqual([3, 48]);
    const certificates = crowd.map(({ certificate }) => certificate);
    const bodies = sealForAll(group, certificates, from, secrets);
    expect(new Set(bodies.map(({ ephemeralPublic }) => hex(ephemeralPublic))).size).toBe(3);
    for (const { certificate, xSecret } of crowd) {
      const opened = bodies.map(body => openGroupKey(body, { kid: certificate.kid, xSecret }, from)).filter(one => one !== null);
      expect(opened).toEqual([group]);
    }
    expect(() => sealForAll(group, certificates, from, secrets.slice(1))).toThrow(RangeError);
  });

  test('is not sealed to a key that is none', () => {
    const broken = { ...hosts[0].certificate, xPublic: new Uint8Array(32) };
    expect(sealGroupKey(group, [broken, hosts[1].certificate], sealing).sealed.map(({ recipient }) => recipient)).toEqual([hosts[1].certificate.kid]);
    expect(sealForAll(group, [broken], from, [secretOf('e')])).toEqual([]);
  });

  test('opens for its own cluster, issuer, generation and recipient only', () => {
    expect(openGroupKey(rekey, keysOf(0), { ...from, clusterId: CLUSTER.toReversed() })).toBeNull();
    expect(openGroupKey(rekey, keysOf(0), { ...from, issuer: hosts[1].certificate.kid })).toBeNull();
    expect(openGroupKey({ ...rekey, generation: 8 }, keysOf(0), from)).toBeNull();
    const swapped = [{ ...one, bytes: other.bytes }, other];
    expect(openGroupKey({ ...rekey, sealed: swapped }, keysOf(0), from)).toBeNull();
    for (let at = 0; at < one.bytes.length; at++) {
      const bent = one.bytes.slice();
      bent[at] = (bent[at] ?? 0) ^ 1;
      expect(openGroupKey({ ...rekey, sealed: [{ ...one, bytes: bent }] }, keysOf(0), from)).toBeNull();
    }
  });

  test('is sealed by HKDF-SHA-256 and AES-256-GCM over what the format names, and nothing else', () => {
    const jwk = (secret: Uint8Array) => ({
      key: { kty: 'OKP', crv: 'X25519', d: Buffer.from(secret).toString('base64url'), x: Buffer.from(xPublicOf(secret)).toString('base64url') },
      format: 'jwk' as const,
    });
    const shared = diffieHellman({ privateKey: createPrivateKey(jwk(keysOf(0).xSecret)), publicKey: createPublicKey(jwk(sealing.ephemeralSecret)) });
    const info = Buffer.concat([
      Buffer.from('HoneyMesh HM1 rekey\0'),
      CLUSTER,
      Buffer.from(from.issuer, 'hex'),
      Buffer.from('00000007', 'hex'),
      Buffer.from(keysOf(0).kid, 'hex'),
      xPublicOf(sealing.ephemeralSecret),
      xPublicOf(keysOf(0).xSecret),
    ]);
    // RFC 5869 by hand: extract with an empty salt, expand two blocks.
    const extracted = createHmac('sha256', Buffer.alloc(32)).update(shared).digest();
    const first = createHmac('sha256', extracted).update(info).update(Buffer.of(1)).digest();
    const second = createHmac('sha256', extracted).update(first).update(info).update(Buffer.of(2)).digest();
    const opener = createDecipheriv('aes-256-gcm', first, second.subarray(0, 12)).setAAD(info);
    const bytes = one.bytes;
    opener.setAuthTag(bytes.subarray(-16));
    expect(hex(Buffer.concat([opener.update(bytes.subarray(0, -16)), opener.final()]))).toBe(hex(group.key));
  });
});

describe('a change of keys', () => {
  const at = (ms: number): UnixMs => unixMs(NOON + ms);
  const old = new Uint8Array(32).fill(1);
  const key = (fill: number, more: Partial<GroupKey> = {}): GroupKey => ({
    generation: fill,
    key: new Uint8Array(32).fill(fill),
    useAt: unixMs(NOON + 5_000),
    dropOldAt: unixMs(NOON + 60_000),
    ...more,
  });

  test('adds at once, uses and drops in time', () => {
    const schedule = createKeySchedule({ keys: [old], generation: 1 });
    expect(schedule.order(key(2), NOON)).toEqual([{ kind: 'add-key', key: key(2).key }]);
    expect(schedule.nextDeadline()).toBe(NOON + 5_000);
    expect(schedule.due(unixMs(NOON + 4_999))).toEqual([]);
    expect(schedule.due(unixMs(NOON + 5_000))).toEqual([{ kind: 'use-key', key: key(2).key, generation: 2 }]);
    expect(schedule.due(unixMs(NOON + 60_000))).toEqual([{ kind: 'remove-key', key: old }]);
    expect(schedule.nextDeadline()).toBe('never');
  });

  test('that comes late does all of it at once', () => {
    const schedule = createKeySchedule({ keys: [old], generation: 1 });
    expect(schedule.order(key(2), unixMs(NOON + 99_000))).toMatchObject([{ kind: 'add-key' }, { kind: 'use-key' }, { kind: 'remove-key', key: old }]);
  });

  test('never goes back to an older generation, whatever is replayed', () => {
    const schedule = createKeySchedule({ keys: [old], generation: 5 });
    expect(schedule.order(key(5), NOON)).toBe('stale');
    schedule.order(key(7), NOON);
    expect(schedule.order(key(6), NOON)).toBe('stale');
    expect(schedule.order(key(7), NOON)).toBe('stale');
    schedule.due(unixMs(NOON + 70_000));
    expect(schedule.generation).toBe(7);
  });

  test('goes on after a restart in the middle of it, when its order is heard again', () => {
    // Between its coming and its use: the ring was kept with both keys, and its generation is the old one's.
    const before = createKeySchedule({ keys: [old, key(2).key], generation: 1 });
    expect(before.order(key(2), NOON)).toEqual([]);
    expect(before.due(at(5_000))).toEqual([{ kind: 'use-key', key: key(2).key, generation: 2 }]);
    expect(before.due(at(60_000))).toEqual([{ kind: 'remove-key', key: old }]);
    // Between use and drop.
    const after = createKeySchedule({ keys: [key(2).key, old], generation: 2 });
    expect(after.order(key(2), at(9_000))).toEqual([]);
    expect(after.due(at(60_000))).toEqual([{ kind: 'remove-key', key: old }]);
    expect(after.order(key(2), at(70_000))).toBe('stale');
    // Another key under its number is not it.
    const other = createKeySchedule({ keys: [key(2).key, old], generation: 2 });
    expect(other.order({ ...key(2), key: key(3).key }, at(70_000))).toBe('stale');
  });

  test('of one generation by two registrars ends as the same one everywhere, whichever came first', () => {
    const [mine, theirs] = [key(2), { ...key(2), key: key(3).key }];
    for (const [first, second] of [
      [mine, theirs],
      [theirs, mine],
    ] as const) {
      const schedule = createKeySchedule({ keys: [old], generation: 1 });
      schedule.order(first, NOON);
      const steps = schedule.order(second, NOON);
      if (first === mine) {
        expect(steps).toEqual([
          { kind: 'remove-key', key: mine.key },
          { kind: 'add-key', key: theirs.key },
        ]);
      } else expect(steps).toBe('stale');
      expect(schedule.order(first, NOON)).toBe('stale');
      expect(schedule.due(at(5_000))).toEqual([{ kind: 'use-key', key: theirs.key, generation: 2 }]);
      expect(schedule.due(at(60_000))).toEqual([{ kind: 'remove-key', key: old }]);
    }
  });

  test('handed over whole replaces older ones, and leaves what is to be used later', () => {
    const schedule = createKeySchedule({ keys: [old], generation: 1 });
    schedule.order(key(5), NOON);
    expect(schedule.adopt({ keys: [key(3).key, key(2).key], generation: 3 })).toEqual([
      { kind: 'add-key', key: key(3).key },
      { kind: 'add-key', key: key(2).key },
      { kind: 'use-key', key: key(3).key, generation: 3 },
      { kind: 'remove-key', key: old },
    ]);
    expect(schedule.adopt({ keys: [old], generation: 3 })).toEqual([]);
    expect(schedule.adopt({ keys: [], generation: 9 })).toEqual([]);
    expect(schedule.due(at(5_000))).toEqual([{ kind: 'use-key', key: key(5).key, generation: 5 }]);
  });

  test('in the middle of another keeps what is yet to be used', () => {
    const schedule = createKeySchedule({ keys: [old], generation: 1 });
    schedule.order(key(2), NOON);
    schedule.order(key(3, { useAt: unixMs(NOON + 90_000), dropOldAt: unixMs(NOON + 120_000) }), NOON);
    expect(schedule.due(unixMs(NOON + 61_000))).toEqual([
      { kind: 'use-key', key: key(2).key, generation: 2 },
      { kind: 'remove-key', key: old },
    ]);
    expect(schedule.due(unixMs(NOON + 121_000))).toEqual([
      { kind: 'use-key', key: key(3).key, generation: 3 },
      { kind: 'remove-key', key: key(2).key },
    ]);
  });
});

describe('the memory of nonces', () => {
  const nonce = (number: number): Uint8Array => {
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setUint32(8, number);
    return bytes;
  };

  test.prop([fc.array(fc.nat(60), { maxLength: 300 }), fc.integer({ min: 5, max: 40 })])(
    'knows at least the last ones, and never one that it did not see',
    (numbers, bound) => {
      const memory = createNonceMemory(bound);
      const distinct: number[] = [];
      for (const number of numbers) {
        const known = !memory.first('key', nonce(number));
        if (known) expect(distinct).toContain(number);
        else distinct.push(number);
        if (distinct.slice(0, -1).slice(-bound).includes(number)) expect(known || distinct.at(-1) !== number).toBe(true);
      }
      for (const number of distinct.slice(-bound)) expect(memory.first('key', nonce(number))).toBe(false);
    },
  );

  test('grows with what it has seen, the nonce of zeros included', () => {
    const memory = createNonceMemory();
    const numbers = Array.from({ length: 20_000 }, (_, number) => number);
    expect(numbers.every(number => memory.first('key', nonce(number)))).toBe(true);
    expect(numbers.some(number => memory.first('key', nonce(number)))).toBe(false);
  });

  test('is one for each key, and tells nonces apart by every bit', () => {
    const memory = createNonceMemory();
    expect(memory.first('a', nonce(1))).toBe(true);
    expect(memory.first('b', nonce(1))).toBe(true);
    expect(memory.first('a', nonce(1))).toBe(false);
    for (let bit = 0; bit < 96; bit++) {
      const other = nonce(1);
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(memory.first('a', other)).toBe(true);
    }
    memory.forgetKey('a');
    expect(memory.first('a', nonce(1))).toBe(true);
  });
});
