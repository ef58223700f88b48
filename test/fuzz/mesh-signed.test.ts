import { fc, test } from '@fast-check/vitest';
import { decodeIntel, encodeIntel } from '@honeymesh/intel/advisories';
import { LONGEST_BODY_BYTES, openEnvelope } from '@honeymesh/intel/envelope';
import { decodeAccusations, decodeLeave, decodeRekey, encodeAccusations, encodeRekey } from '@honeymesh/intel/envelope-bodies';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { readCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { decodeExchange } from '#enforcer/mesh/signed/exchange-format.ts';
import { readMeta } from '#enforcer/mesh/signed/meta.ts';
import { issueRevocations, readRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { openGroupKey, sealGroupKey } from '#enforcer/mesh/signed/sealed-keys.ts';
import { advice, CLUSTER, keyedHash, layerOf, NOON, rootKid, secretOf, signedBy, trust } from '#test/support/hm1.ts';

const numRuns = process.env.HONEYMESH_NIGHTLY === '1' ? 1_000_000 : 5_000;

const signatures = keyedHash();
const trusted = trust(signatures);
const host = trusted.host('db1');
const { layer } = layerOf(trusted, host);
const { layer: other, roster } = layerOf(trusted, trusted.host('db2'));
roster.learn(host.certificate, NOON);
layer.advise([advice('203.0.113.7/32'), advice('2001:db8::/48')], NOON);
const rekey = sealGroupKey({ generation: 1, key: secretOf('k'), useAt: NOON, dropOldAt: NOON }, [host.certificate], {
  clusterId: CLUSTER,
  issuer: trusted.registrar.kid,
  ephemeralSecret: secretOf('e'),
});

const TYPES = ['intel', 'accusation', 'leave', 'rekey'] as const;

/** One valid of each kind, to be bent. */
const SEEDS: readonly Uint8Array[] = [
  signedBy(host, encodeIntel({ advice: [advice('203.0.113.7/32')], withdrawals: [{ epoch: 1, seq: 1, asError: false, targets: [] }] }), signatures),
  encodeIntel({ advice: [advice('203.0.113.7/32'), advice('2001:db8::1/128')], withdrawals: [] }),
  encodeAccusations([{ subject: 'n1', incarnation: 4 }]),
  encodeRekey(rekey),
  host.certificate.bytes,
  trusted.registrar.bytes,
  issueRevocations(
    { clusterId: CLUSTER, number: 1, entries: [{ kid: host.certificate.kid, notAfter: host.certificate.notAfter }] },
    { kid: rootKid, secret: trusted.rootSecret },
    signatures,
    NOON,
  ).bytes,
  layer.meta(3, Uint8Array.of(1)),
  layer.localState(true, NOON),
  layer.localState(false, NOON),
];

const bent = fc
  .record({
    seed: fc.constantFrom(...SEEDS),
    cuts: fc.array(fc.record({ at: fc.nat(2_000), value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)) }), { maxLength: 6 }),
    length: fc.option(fc.nat(2_000), { nil: undefined, freq: 3 }),
    tail: fc.uint8Array({ maxLength: 8 }),
  })
  .map(({ seed, cuts, length, tail }) => {
    const bytes = Uint8Array.of(...seed.subarray(0, length ?? seed.length), ...tail);
    for (const { at, value } of cuts) if (bytes.length > 0) bytes[at % bytes.length] = value;
    return bytes;
  });
const hostile = fc.oneof({ weight: 1, arbitrary: fc.uint8Array({ maxLength: 1_500 }) }, { weight: 6, arbitrary: bent });

describe('hostile bytes of HM1', () => {
  test.prop([hostile], { numRuns })('are a value or a reason to every decoder, never a throw', bytes => {
    for (const read of [openEnvelope, decodeIntel, decodeAccusations, decodeLeave, decodeRekey, readCertificate, readRevocations, decodeExchange]) {
      expect(typeof read(bytes).ok).toBe('boolean');
    }
    expect(typeof readMeta(bytes, 'db1', CLUSTER).ok).toBe('boolean');
    const keys = decodeRekey(bytes);
    if (keys.ok) openGroupKey(keys.value, { kid: host.certificate.kid, xSecret: host.xSecret }, { clusterId: CLUSTER, issuer: trusted.registrar.kid });
  });

  // From many hops over many hours: else the bounds on forgers and floods would end it early.
  test.prop([hostile, fc.string({ unit: 'binary', maxLength: 80 }), fc.nat(10_000), fc.nat(3_600_000)], { numRuns: numRuns / 5 })(
    'go through a whole layer without a throw, however they come in',
    (bytes, node, from, afterMs) => {
      const [hop, now] = [`hop ${from}`, unixMs(NOON + afterMs)];
      for (const outputs of [other.payload(bytes, hop, now), other.merge(bytes, hop, now), other.tick(now)]) expect(Array.isArray(outputs)).toBe(true);
      // A host that signs whatever comes to its mind.
      const type = TYPES[from % TYPES.length] ?? 'intel';
      const said = signedBy(host, bytes.subarray(0, LONGEST_BODY_BYTES), signatures, { epoch: 5, seq: 1 + afterMs, issuedAt: now, type });
      expect(Array.isArray(other.payload(said, hop, now))).toBe(true);
      const claim = { node, address: bytes.subarray(0, 16), port: 7946, incarnation: bytes[0] ?? 0, meta: bytes };
      expect(typeof other.claims.alive(claim, now).admitted).toBe('boolean');
      expect(typeof other.claims.alive({ ...claim, node: 'db1' }, now).admitted).toBe('boolean');
    },
  );
});

describe('bombs of HM1 cost bounded time and memory', () => {
  const MOST_MS = 500;
  const MOST_BYTES = 64 * 1_048_576;
  const MEGABYTE = 1_048_576;
  const HEAD = Uint8Array.of(...Buffer.from('HMS'), 1);
  const section = (tag: number, length: number, fill: (at: number) => number): Uint8Array => {
    const bytes = new Uint8Array(5 + length);
    bytes.set([tag, length >>> 24, length >>> 16, length >>> 8, length]);
    for (let at = 0; at < length; at++) bytes[5 + at] = fill(at);
    return bytes;
  };
  const exchange = (sections: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat([HEAD, ...sections]));
  const flipped = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes, (byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte));
  const many = (bytes: Uint8Array, tag: number): Uint8Array => {
    const one = section(tag, bytes.length, at => bytes[at] ?? 0);
    return exchange(Array.from({ length: Math.floor((MEGABYTE - 4) / one.length) }, () => one));
  };

  test.each<[string, Uint8Array]>([
    ['200,000 empty sections', exchange(Array.from({ length: 200_000 }, () => section(9, 0, () => 0)))],
    ['a section that claims four thousand million bytes', exchange([Uint8Array.of(5, 0xff, 0xff, 0xff, 0xff, 1, 2, 3)])],
    ['a digest of 60,000 speakers', exchange([section(1, MEGABYTE - 20, at => (at % 9 === 0 ? 0 : at))])],
    ['a digest of 65,535 ranges', exchange([section(1, MEGABYTE - 20, at => (at === 9 ? 1 : at === 18 || at === 19 ? 0xff : 1))])],
    ['a digest of numbers without an end', exchange([section(1, MEGABYTE - 20, () => 0xff)])],
    ['holdings of 255 lists, of which two are there', exchange([section(2, 40, at => (at === 0 ? 255 : at))])],
    ['thousands of certificates that nobody signed', many(flipped(host.certificate.bytes), 3)],
    ['thousands of lists that are none', many(Uint8Array.of(...Buffer.from('HMR'), 1, 2, 3), 4)],
    [
      'thousands of envelopes that nobody signed',
      many(flipped(signedBy(host, encodeIntel({ advice: [advice('203.0.113.9/32')], withdrawals: [] }), signatures, { epoch: 77 })), 5),
    ],
    ['a megabyte of nothing', new Uint8Array(MEGABYTE)],
  ])('%s', (_, bomb) => {
    const before = process.memoryUsage();
    const started = process.cpuUsage();
    const now = unixMs(NOON + 3_600_000);
    other.merge(bomb, 'a bomber', now);
    other.payload(bomb, 'a bomber', now);
    other.localState(false, now, bomb);
    for (const read of [openEnvelope, decodeIntel, decodeAccusations, decodeLeave, decodeRekey, readCertificate, readRevocations]) read(bomb);
    expect(process.cpuUsage(started).user / 1_000).toBeLessThan(MOST_MS);
    const after = process.memoryUsage();
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(MOST_BYTES);
  });
});
