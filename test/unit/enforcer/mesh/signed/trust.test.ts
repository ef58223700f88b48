import { createPrivateKey, sign } from 'node:crypto';
import { test } from '@fast-check/vitest';
import { DAY_MS, HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import {
  certificateCore,
  certificateFromCore,
  issueNodeCertificate,
  issueRegistrarCertificate,
  NODE_LIFE_MS,
  type NodeCertificate,
  REGISTRAR_LIFE_MS,
  readCertificate,
} from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf, kidOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { isMetaOf, LONGEST_EXTRA, MOST_META_BYTES, readMeta, signMeta } from '#enforcer/mesh/signed/meta.ts';
import { issueRevocations, readRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { createRoster } from '#enforcer/mesh/signed/roster.ts';
import { CLUSTER, type Host, NOON, real, rootKid, secretOf, trust } from '#test/support/hm1.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const cluster = trust(real);
const after = (ms: number): UnixMs => unixMs(NOON + ms);

/** A registrar of its own sites, with a key of its own. */
function registrarOf(name: string, sites: readonly string[], notBefore = unixMs(NOON - DAY_MS), life = REGISTRAR_LIFE_MS) {
  const secret = secretOf(name);
  const request = { clusterId: CLUSTER, sites, edPublic: edPublicOf(secret), notBefore, notAfter: unixMs(notBefore + life) };
  return { certificate: issueRegistrarCertificate(request, cluster.rootSecret, real), secret };
}

function certify(
  nodeName: string,
  by: { readonly secret: Uint8Array },
  more: { readonly site?: string; readonly at?: UnixMs; readonly life?: number; readonly keys?: string } = {},
): NodeCertificate {
  const { site = 'home', at = unixMs(NOON - HOUR_MS), life = NODE_LIFE_MS, keys = nodeName } = more;
  const edPublic = edPublicOf(secretOf(`${keys} ed`));
  const xPublic = xPublicOf(secretOf(`${keys} x`));
  const request = { clusterId: CLUSTER, nodeName, site, edPublic, xPublic, notBefore: at, notAfter: unixMs(at + life) };
  return issueNodeCertificate(request, { kid: kidOf(edPublicOf(by.secret)), secret: by.secret }, real);
}

const own = { certificate: cluster.registrar, secret: cluster.registrarSecret };

describe('a certificate', () => {
  test('is laid out as documented', () => {
    const { certificate } = cluster.host('db1', 'home');
    const unsigned = [
      '484d43', '01', '01', hex(CLUSTER), '03', hex(Buffer.from('db1')), '04', hex(Buffer.from('home')),
      hex(edPublicOf(secretOf('db1 ed'))), hex(xPublicOf(secretOf('db1 x'))),
      ((NOON - DAY_MS) / 1000).toString(16).padStart(8, '0'), ((NOON + 89 * DAY_MS) / 1000).toString(16).padStart(8, '0'), cluster.registrar.kid,
    ].join(''); // biome-ignore format: a line for each group of fields
    expect(hex(certificate.bytes).slice(0, -128)).toBe(unsigned);
    const secret = cluster.registrarSecret;
    const jwk = { kty: 'OKP', crv: 'Ed25519', d: Buffer.from(secret).toString('base64url'), x: Buffer.from(edPublicOf(secret)).toString('base64url') };
    const message = Buffer.concat([Buffer.from('HoneyMesh HM1 certificate\0'), Buffer.from(unsigned, 'hex')]);
    expect(hex(certificate.bytes).slice(-128)).toBe(sign(null, message, createPrivateKey({ key: jwk, format: 'jwk' })).toString('hex'));
  });

  test('of a registrar, a list of revocations and signed meta are laid out as documented, too', () => {
    const by = (secret: Uint8Array, domain: string, unsigned: string): string => {
      const jwk = { kty: 'OKP', crv: 'Ed25519', d: Buffer.from(secret).toString('base64url'), x: Buffer.from(edPublicOf(secret)).toString('base64url') };
      const message = Buffer.concat([Buffer.from(domain, 'latin1'), Buffer.from(unsigned, 'hex')]);
      return sign(null, message, createPrivateKey({ key: jwk, format: 'jwk' })).toString('hex');
    };
    const u32 = (value: number): string => value.toString(16).padStart(8, '0');
    const dates = u32((NOON - DAY_MS) / 1_000) + u32((NOON + 29 * DAY_MS) / 1_000);
    const registrar = `484d430102${hex(CLUSTER)}0304${hex(Buffer.from('home'))}03${hex(Buffer.from('lab'))}04${hex(Buffer.from('shop'))}${hex(edPublicOf(own.secret))}${dates}`;
    expect(hex(own.certificate.bytes)).toBe(registrar + by(cluster.rootSecret, 'HoneyMesh HM1 certificate\0', registrar));

    const { certificate, edSecret } = cluster.host('db1', 'home');
    const entries = [{ kid: certificate.kid, notAfter: after(DAY_MS) }];
    const list = issueRevocations({ clusterId: CLUSTER, number: 7, entries }, { kid: rootKid, secret: cluster.rootSecret }, real, NOON);
    const revocations = `484d5201${hex(CLUSTER)}${rootKid}000000070001${certificate.kid}${u32((NOON + DAY_MS) / 1_000)}`;
    expect(hex(list.bytes)).toBe(revocations + by(cluster.rootSecret, 'HoneyMesh HM1 revocations\0', revocations));

    const claim = { node: 'db1', address: Uint8Array.of(198, 51, 100, 7), port: 7946, incarnation: 9 };
    const core = certificateCore(certificate);
    const meta = `484d4d010000000000000003${core.length.toString(16)}${hex(core)}020102`;
    const signedClaim = `${hex(CLUSTER)}03${hex(Buffer.from('db1'))}04c63364071f0a00000009${meta}`;
    expect(hex(signMeta({ certificate, epoch: 3, extra: Uint8Array.of(1, 2) }, claim, edSecret, real))).toBe(
      meta + by(edSecret, 'HoneyMesh HM1 meta\0', signedClaim),
    );
  });

  test('comes back whole from its core, and only under its own name and cluster', () => {
    const { certificate } = cluster.host('db1', 'home');
    const core = certificateCore(certificate);
    const again = certificateFromCore(core, 'db1', CLUSTER);
    expect(again.ok && hex(again.value.bytes)).toBe(hex(certificate.bytes));
    for (const [name, clusterId] of [
      ['db2', CLUSTER],
      ['db1', CLUSTER.toReversed()],
    ] as const) {
      const other = certificateFromCore(core, name, clusterId);
      expect(other.ok && cluster.roster().learn(other.value, NOON)).toMatchObject({ ok: false });
    }
  });

  test('is not made with a name, site or life that nobody would take', () => {
    for (const make of [
      () => certify('with space', own),
      () => certify('', own),
      () => certify('x'.repeat(64), own),
      () => certify('db1', own, { site: '' }),
      () => certify('db1', own, { life: NODE_LIFE_MS + 1_000 }),
      () => certify('db1', own, { life: 0 }),
      () => registrarOf('r', []),
      () => registrarOf('r', ['home'], NOON, REGISTRAR_LIFE_MS + 1_000),
    ]) {
      expect(make).toThrow(RangeError);
    }
  });

  test('is refused when any bit of it was changed', () => {
    const { certificate } = cluster.host('db1');
    for (let bit = 0; bit < certificate.bytes.length * 8; bit += 5) {
      const bytes = certificate.bytes.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const read = readCertificate(bytes);
      if (read.ok) expect(cluster.roster().learn(read.value, NOON).ok, `bit ${bit}`).toBe(false);
    }
  });
});

describe('a roster', () => {
  test("takes hosts of a registrar that the root certified, for the registrar's sites only", () => {
    const roster = cluster.roster();
    expect(roster.learn(certify('db1', own), NOON).ok).toBe(true);
    expect(roster.named('db1')?.site).toBe('home');
    expect(roster.learn(certify('db2', own, { site: 'moon' }), NOON)).toEqual({ ok: false, why: 'other-site' });
    const stranger = registrarOf('stranger', ['home']);
    expect(roster.learn(certify('db3', stranger), NOON)).toEqual({ ok: false, why: 'unknown-registrar' });
    const usurper = issueRegistrarCertificate(
      { clusterId: CLUSTER, sites: ['home'], edPublic: edPublicOf(secretOf('u')), notBefore: NOON, notAfter: after(DAY_MS) },
      secretOf('not the root'),
      real,
    );
    expect(roster.learn(usurper, NOON)).toEqual({ ok: false, why: 'bad-signature' });
  });

  test("holds a host to its dates, and lets it outlive its registrar's key but not precede it", () => {
    const roster = cluster.roster();
    expect(roster.learn(certify('early', own, { at: after(31_000) }), NOON)).toEqual({ ok: false, why: 'not-yet-valid' });
    expect(roster.learn(certify('skewed', own, { at: after(29_000) }), NOON).ok).toBe(true);
    expect(roster.learn(certify('before', own, { at: unixMs(NOON - 2 * DAY_MS) }), NOON)).toEqual({ ok: false, why: 'outside-registrar-life' });
    const late = certify('late', own, { at: after(28 * DAY_MS) });
    expect(roster.learn(late, after(28 * DAY_MS)).ok).toBe(true);
    expect(roster.node(late.kid, after(100 * DAY_MS)).ok).toBe(true);
    expect(roster.node(late.kid, after(118 * DAY_MS))).toEqual({ ok: false, why: 'expired' });
    expect(roster.learn(certify('too-late', own, { at: after(30 * DAY_MS) }), after(30 * DAY_MS))).toEqual({ ok: false, why: 'outside-registrar-life' });
  });

  test('knows a renewed registrar by both its lives', () => {
    const roster = cluster.roster();
    const renewed = registrarOf('registrar', ['home'], after(20 * DAY_MS));
    expect(roster.learn(renewed.certificate, after(20 * DAY_MS)).ok).toBe(true);
    expect(roster.learn(certify('old', own), after(21 * DAY_MS)).ok).toBe(true);
    expect(roster.learn(certify('new', own, { at: after(40 * DAY_MS) }), after(40 * DAY_MS)).ok).toBe(true);
  });

  test('lets a later certificate take over: a renewal, or a host set up anew; never an earlier one', () => {
    const roster = cluster.roster();
    const first = certify('db1', own);
    const anew = certify('db1', own, { at: NOON, keys: 'db1 again' });
    expect(roster.learn(first, NOON).ok).toBe(true);
    expect(roster.learn(anew, NOON).ok).toBe(true);
    expect(roster.named('db1')?.kid).toBe(anew.kid);
    // The one before is still known by its key: what it said still holds.
    expect(roster.node(first.kid, NOON).ok).toBe(true);
    expect(roster.learn(certify('db1', own, { at: unixMs(NOON - 2 * HOUR_MS), keys: 'older' }), NOON)).toEqual({ ok: false, why: 'stale' });
  });

  test('leaves name and key with their site: a stolen registrar of another is worth its own site only', () => {
    const roster = cluster.roster();
    const thief = registrarOf('thief', ['lab']);
    roster.learn(thief.certificate, NOON);
    roster.learn(certify('db1', own), NOON);
    expect(roster.learn(certify('db1', thief, { site: 'home', at: NOON, keys: 'mine' }), NOON)).toEqual({ ok: false, why: 'other-site' });
    expect(roster.learn(certify('db1', thief, { site: 'lab', at: NOON, keys: 'mine' }), NOON)).toEqual({ ok: false, why: 'name-taken' });
    expect(roster.learn(certify('db1', thief, { site: 'lab', at: NOON }), NOON)).toEqual({ ok: false, why: 'name-taken' });
    expect(roster.learn(certify('db1-lab', thief, { site: 'lab', at: NOON, keys: 'db1' }), NOON)).toEqual({ ok: false, why: 'name-taken' });
  });

  test('believes revocations of the root about all, of a registrar about its own', () => {
    const roster = cluster.roster();
    const lab = registrarOf('lab registrar', ['lab']);
    roster.learn(lab.certificate, NOON);
    const db1 = certify('db1', own);
    const pc1 = certify('pc1', lab, { site: 'lab' });
    for (const certificate of [db1, pc1]) roster.learn(certificate, NOON);
    const both = [db1, pc1].map(({ kid, notAfter }) => ({ kid, notAfter }));
    const ofLab = issueRevocations({ clusterId: CLUSTER, number: 1, entries: both }, { kid: lab.certificate.kid, secret: lab.secret }, real, NOON);
    expect(roster.learnRevocations(ofLab, NOON).ok).toBe(true);
    expect(roster.node(pc1.kid, NOON)).toEqual({ ok: false, why: 'revoked' });
    expect(roster.node(db1.kid, NOON).ok).toBe(true);
    const ofRoot = issueRevocations({ clusterId: CLUSTER, number: 1, entries: both }, { kid: rootKid, secret: cluster.rootSecret }, real, NOON);
    expect(roster.learnRevocations(ofRoot, NOON).ok).toBe(true);
    expect(roster.node(db1.kid, NOON)).toEqual({ ok: false, why: 'revoked' });
    expect(roster.learn(db1, NOON)).toEqual({ ok: false, why: 'revoked' });
  });

  test("takes all that a revoked registrar ever signed for a thief's", () => {
    const roster = cluster.roster();
    const db1 = certify('db1', own);
    roster.learn(db1, NOON);
    const { kid, notAfter } = cluster.registrar;
    const list = issueRevocations({ clusterId: CLUSTER, number: 1, entries: [{ kid, notAfter }] }, { kid: rootKid, secret: cluster.rootSecret }, real, NOON);
    roster.learnRevocations(list, NOON);
    expect(roster.node(db1.kid, NOON)).toEqual({ ok: false, why: 'revoked' });
    expect(roster.learn(certify('db9', own), NOON)).toEqual({ ok: false, why: 'revoked' });
    expect(roster.registrar(kid, NOON)).toEqual({ ok: false, why: 'revoked' });
    // Its name is free again for whom another registrar certifies.
    const other = registrarOf('other', ['lab']);
    roster.learn(other.certificate, NOON);
    expect(roster.learn(certify('db1', other, { site: 'lab' }), NOON).ok).toBe(true);
  });

  test('goes by the number of a list, and by its signature', () => {
    const roster = cluster.roster();
    const by = { kid: rootKid, secret: cluster.rootSecret };
    const entry = { kid: certify('db1', own).kid, notAfter: after(DAY_MS) };
    const second = issueRevocations({ clusterId: CLUSTER, number: 2, entries: [entry] }, by, real, NOON);
    const first = issueRevocations({ clusterId: CLUSTER, number: 1, entries: [] }, by, real, NOON);
    const forged = issueRevocations({ clusterId: CLUSTER, number: 3, entries: [] }, { ...by, secret: secretOf('thief') }, real, NOON);
    expect(roster.learnRevocations(second, NOON).ok).toBe(true);
    expect(roster.learnRevocations(first, NOON)).toEqual({ ok: false, why: 'stale' });
    expect(roster.learnRevocations(forged, NOON)).toEqual({ ok: false, why: 'bad-signature' });
    expect(readRevocations(second.bytes.slice(0, -1)).ok).toBe(false);
    // Of one number two: all end with the same, in whatever order they came.
    const twin = issueRevocations({ clusterId: CLUSTER, number: 2, entries: [] }, by, real, NOON);
    const ends = [
      [second, twin],
      [twin, second],
    ].map(order => {
      const fresh = cluster.roster();
      for (const list of order) fresh.learnRevocations(list, NOON);
      return hex(fresh.revocationLists()[0]?.bytes ?? new Uint8Array(0));
    });
    expect(ends[0]).toBe(ends[1]);
  });

  test('does not grow beyond its bound, and lets go of what has ended', () => {
    const roster = cluster.roster();
    const brief = certify('brief', own, { life: 2 * HOUR_MS });
    roster.learn(brief, NOON);
    roster.prune(after(2 * HOUR_MS));
    expect(roster.named('brief')).toBeNull();
    expect(roster.node(brief.kid, after(2 * HOUR_MS))).toEqual({ ok: false, why: 'unknown-key' });
    const rootPublic = edPublicOf(cluster.rootSecret);
    const small = createRoster({ clusterId: CLUSTER, rootPublic, mostNodes: 2, mostRegistrars: 1 }, { signatures: real });
    expect(small.learn(cluster.registrar, NOON).ok).toBe(true);
    expect(small.learn(registrarOf('lab registrar', ['lab']).certificate, NOON)).toEqual({ ok: false, why: 'full' });
    expect(['a', 'b', 'c', 'a'].map(name => small.learn(certify(name, own), NOON).ok)).toEqual([true, true, false, true]);
  });
});

describe('signed meta', () => {
  const host: Host = cluster.host('db1', 'home');
  const claim = { node: 'db1', address: Uint8Array.of(198, 51, 100, 7), port: 7946, incarnation: 9 };
  const meta = signMeta({ certificate: host.certificate, epoch: 3, extra: Uint8Array.of(1, 2) }, claim, host.edSecret, real);

  test('is read back, and holds for just this claim', () => {
    const read = readMeta(meta, 'db1', CLUSTER);
    if (!read.ok) throw new Error(read.why);
    expect(read.value).toMatchObject({ epoch: 3, extra: Uint8Array.of(1, 2) });
    const { certificate } = read.value;
    expect(isMetaOf(meta, certificate, claim, real)).toBe(true);
    for (const other of [
      { ...claim, incarnation: 10 },
      { ...claim, port: 7947 },
      { ...claim, address: Uint8Array.of(198, 51, 100, 8) },
      { ...claim, address: Uint8Array.of(...new Uint8Array(10), 255, 255, 198, 51, 100, 7) },
      { ...claim, node: 'db2' },
    ]) {
      expect(isMetaOf(meta, certificate, other, real)).toBe(false);
    }
  });

  test('takes less than 300 of the 512 bytes with the longest names', () => {
    const longest = trust(real, ['s'.repeat(31)]).host('n'.repeat(63), 's'.repeat(31));
    const bytes = signMeta({ certificate: longest.certificate, epoch: 1, extra: new Uint8Array(0) }, claim, longest.edSecret, real);
    expect(bytes.length).toBeLessThan(300);
    const full = signMeta({ certificate: longest.certificate, epoch: 1, extra: new Uint8Array(LONGEST_EXTRA) }, claim, longest.edSecret, real);
    expect(full.length).toBeLessThan(MOST_META_BYTES);
  });

  test('of a Go node is unsigned; cut or with a word of its own it is malformed', () => {
    expect(readMeta(Uint8Array.of(1, 2, 3), 'go', CLUSTER)).toEqual({ ok: false, why: 'unsigned' });
    expect(readMeta(new Uint8Array(0), 'go', CLUSTER)).toEqual({ ok: false, why: 'unsigned' });
    for (let length = 4; length < meta.length; length++) expect(readMeta(meta.subarray(0, length), 'db1', CLUSTER).ok).toBe(false);
    expect(readMeta(Uint8Array.of(...meta, 0), 'db1', CLUSTER).ok).toBe(false);
  });
});
