import { test } from '@fast-check/vitest';
import { HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { createAccusations } from '#enforcer/mesh/signed/accusations.ts';
import { issueNodeCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { type AliveClaim, createClaims, type SignatureMode } from '#enforcer/mesh/signed/claims.ts';
import { signMeta } from '#enforcer/mesh/signed/meta.ts';
import { CLUSTER, type Host, NOON, real, secretOf, trust } from '#test/support/hm1.ts';

const trusted = trust(real);
const until = unixMs(NOON + 60_000);

function scene(mode: SignatureMode, accusers = 2) {
  const roster = trusted.roster();
  const accusations = createAccusations();
  const claims = createClaims({ mode, clusterId: CLUSTER, accusers }, { roster, accusations, signatures: real });
  return { roster, accusations, claims, alive: (claim: AliveClaim, now: UnixMs = NOON) => claims.alive(claim, now) };
}

function signed(host: Host, more: Partial<AliveClaim> & { readonly epoch?: number } = {}): AliveClaim {
  const claim = { node: host.certificate.nodeName, address: Uint8Array.of(198, 51, 100, 7), port: 7946, incarnation: 1, ...more };
  return { ...claim, meta: signMeta({ certificate: host.certificate, epoch: more.epoch ?? 1, extra: new Uint8Array(0) }, claim, host.edSecret, real) };
}
const plain = (node: string, more: Partial<AliveClaim> = {}): AliveClaim => ({
  node,
  address: Uint8Array.of(198, 51, 100, 9),
  port: 7946,
  incarnation: 1,
  meta: new Uint8Array(0),
  ...more,
});
const db1 = trusted.host('db1');

describe('an alive', () => {
  test('is taken from anybody where signatures are off', () => {
    const { alive } = scene('off');
    expect(alive(plain('go'))).toEqual({ admitted: true, certificate: null });
    expect(alive({ ...signed(db1), port: 1 })).toEqual({ admitted: true, certificate: null });
  });

  test('must be signed where signatures are required', () => {
    const { alive, claims } = scene('required');
    expect(alive(plain('go'))).toEqual({ admitted: false, why: 'unsigned' });
    expect(alive(signed(db1))).toMatchObject({ admitted: true, certificate: { nodeName: 'db1' } });
    expect(claims.isCertified('db1', NOON)).toBe(true);
    expect(claims.isCertified('go', NOON)).toBe(false);
    expect(claims.isCertified('db1', db1.certificate.notAfter)).toBe(false);
  });

  test('is taken unsigned where they are preferred, unless the name was ever certified', () => {
    const { alive, claims, roster } = scene('preferred');
    expect(alive(plain('go'))).toEqual({ admitted: true, certificate: null });
    expect(claims.isCertified('go', NOON)).toBe(false);
    alive(signed(db1));
    expect(alive(plain('db1', { incarnation: 99 }))).toEqual({ admitted: false, why: 'name-is-certified' });
    // Nor when its certificate has ended.
    roster.prune(db1.certificate.notAfter);
    expect(alive(plain('db1', { incarnation: 99 }), db1.certificate.notAfter)).toEqual({ admitted: false, why: 'name-is-certified' });
  });

  test.each(['preferred', 'required'] as const)('whose signature does not match what it says is refused (%s)', mode => {
    const claim = signed(db1, { incarnation: 5 });
    for (const [other, why] of [
      [{ ...claim, incarnation: 6 }, 'bad-meta-signature'],
      [{ ...claim, address: Uint8Array.of(203, 0, 113, 66) }, 'bad-meta-signature'],
      [{ ...claim, port: 1 }, 'bad-meta-signature'],
      [{ ...claim, node: 'db2' }, 'bad-signature'],
      [{ ...claim, meta: claim.meta.subarray(0, -1) }, 'malformed-meta'],
      [signed({ ...db1, edSecret: secretOf('thief') }), 'bad-meta-signature'],
      [signed(trusted.host('moved', 'home', unixMs(NOON - 48 * HOUR_MS))), 'outside-registrar-life'],
    ] as const) {
      expect(scene(mode).alive(other)).toEqual({ admitted: false, why });
    }
  });

  test('that goes back in epoch and forth in incarnation is refused; a host set up anew counts anew', () => {
    const { alive, claims } = scene('required');
    alive(signed(db1, { incarnation: 5, epoch: 4 }));
    expect(alive(signed(db1, { incarnation: 6, epoch: 3 }))).toEqual({ admitted: false, why: 'old-epoch' });
    expect(claims.signedIncarnation('db1')).toBe(5);
    const newKeys = trusted.host('db1-new-keys');
    const anew = { ...newKeys, certificate: reissued(newKeys, 'db1') };
    expect(alive(signed(anew, { incarnation: 1, epoch: 1 }))).toMatchObject({ admitted: true });
    expect(claims.signedIncarnation('db1')).toBe(1);
  });
});

/** The same keys under another name. */
function reissued(host: Host, nodeName: string): Host['certificate'] {
  const { clusterId, site, edPublic, xPublic, notAfter } = host.certificate;
  const by = { kid: trusted.registrar.kid, secret: trusted.registrarSecret };
  return issueNodeCertificate({ clusterId, nodeName, site, edPublic, xPublic, notBefore: NOON, notAfter }, by, real);
}

describe('a foreign word of death', () => {
  const dead = (from: string, incarnation = 3) => ({ kind: 'dead' as const, node: 'db1', from, incarnation });

  test('is a suspicion until enough others have signed that they think so too', () => {
    const { alive, claims, accusations } = scene('required');
    alive(signed(db1, { incarnation: 3 }));
    expect(claims.accusation(dead('db2'), NOON)).toBe('as-suspect');
    accusations.accuse('db2', { subject: 'db1', incarnation: 3 }, until);
    accusations.accuse('db2', { subject: 'db1', incarnation: 3 }, until);
    accusations.accuse('db1', { subject: 'db1', incarnation: 3 }, until);
    expect(claims.accusation(dead('db2'), NOON)).toBe('as-suspect');
    accusations.accuse('db3', { subject: 'db1', incarnation: 2 }, until);
    expect(claims.accusation(dead('db2'), NOON)).toBe('as-suspect');
    accusations.accuse('db3', { subject: 'db1', incarnation: 3 }, until);
    expect(claims.accusation(dead('db2'), NOON)).toBe('accept');
    expect(claims.accusation(dead('db2'), until)).toBe('as-suspect');
  });

  test('above what its subject ever signed is refused, and such accusations do not count', () => {
    const { alive, claims, accusations } = scene('required');
    alive(signed(db1, { incarnation: 3 }));
    for (const incarnation of [4, 2 ** 31, 2 ** 32 - 1]) {
      expect(claims.accusation(dead('db2', incarnation), NOON)).toBe('refuse');
      expect(claims.accusation({ ...dead('db2', incarnation), kind: 'suspect' }, NOON)).toBe('refuse');
      for (const accuser of ['db2', 'db3', 'db4']) accusations.accuse(accuser, { subject: 'db1', incarnation }, until);
    }
    expect(claims.accusation(dead('db2'), NOON)).toBe('as-suspect');
    expect(claims.accusation({ ...dead('db2'), kind: 'suspect' }, NOON)).toBe('accept');
  });

  test('is a goodbye only with the signature of whoever leaves, and not against a later life', () => {
    const { alive, claims, accusations } = scene('preferred');
    alive(signed(db1, { incarnation: 3 }));
    expect(claims.accusation(dead('db1'), NOON)).toBe('as-suspect');
    accusations.left('db1', 3, until);
    expect(claims.accusation(dead('db1'), NOON)).toBe('accept');
    alive(signed(db1, { incarnation: 4 }));
    expect(claims.accusation(dead('db1', 4), NOON)).toBe('as-suspect');
    // A Go node cannot sign.
    expect(claims.accusation({ ...dead('go'), node: 'go' }, NOON)).toBe('accept');
  });

  test('is believed as memberlist does where signatures are off', () => {
    const { claims } = scene('off');
    for (const from of ['db1', 'db2']) expect(claims.accusation(dead(from, 99), NOON)).toBe('accept');
  });
});

test('one accuser is bounded, and does not push out others', () => {
  const accusations = createAccusations(10);
  accusations.accuse('honest', { subject: 'victim', incarnation: 1 }, until);
  for (let at = 0; at < 1_000; at++) accusations.accuse('mad', { subject: `n${at}`, incarnation: 1 }, until);
  expect(accusations.size).toBe(11);
  expect(accusations.count('victim', { from: 1, to: 1 }, NOON)).toBe(1);
  expect(accusations.count('n999', { from: 1, to: 1 }, NOON)).toBe(1);
  expect(accusations.count('n1', { from: 1, to: 1 }, NOON)).toBe(0);
  accusations.prune(until);
  expect(accusations.size).toBe(0);
});
