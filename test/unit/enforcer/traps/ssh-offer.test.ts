import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseKexInit } from '#enforcer/traps/protocols/kexinit.ts';
import { RELEASES } from '#enforcer/traps/protocols/persona-releases.ts';
import { HYBRID, listsOf, offerOf } from '#enforcer/traps/server/ssh-algorithms.ts';
import { kexInitOf, settle } from '#enforcer/traps/server/ssh-negotiation.ts';

const KEYS = ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'ssh-ed25519'];
const COOKIE = new Uint8Array(16);
const releaseOf = (version: string) => {
  const release = RELEASES.find(({ versions }) => versions.ssh.startsWith(`OpenSSH_${version}`));
  if (release === undefined) throw new Error(version);
  return release;
};
const offer = offerOf(releaseOf('9.2'));

/** A client's KEXINIT: what it offers of OpenSSH's, changed. */
function clientOf(changes: Readonly<Record<number, string>>, guesses = false): Uint8Array {
  const lists = [`${HYBRID},curve25519-sha256,ext-info-c`, 'ssh-ed25519,rsa-sha2-512', ...listsOf(offer, KEYS).slice(2)].map((list, at) => changes[at] ?? list);
  const payload = kexInitOf(lists, COOKIE);
  if (guesses) payload[payload.length - 5] = 1;
  return payload;
}

function settled(payload: Uint8Array) {
  const kexInit = parseKexInit(payload);
  if (!kexInit.ok) throw new Error(kexInit.why);
  return settle(payload, kexInit.value, offer, KEYS);
}

function listsAsked(payload: Uint8Array) {
  const result = settled(payload);
  if (!result.ok) throw new Error(result.why);
  const asked = parseKexInit(result.value.asked);
  if (!asked.ok) throw new Error(asked.why);
  return asked.value;
}

describe('what is offered', () => {
  // As scanners recorded them of such servers; those of Rocky Linux computed from traces of "ssh -vv" to RHEL 9 and RHEL 8.
  test.each([
    ['9.6p1 Ubuntu-3ubuntu13', 'e42184b06d45385a906f0803d04c83da'],
    ['9.2p1 Debian-2+deb12u', 'a65c3b91f743d3f246e72172e77288f1'],
    ['8.9p1 Ubuntu-3ubuntu0', '41ff3ecd1458b0bf86e1b4891636213e'],
    ['8.7', '02d7dd8ce96185733225e6f56d67fb77'],
    ['8.4p1 Debian-5+deb11u', '779664e66160bf75999f091fce5edb5a'],
    ['8.0', '686e20b21417c07a18d6311d1e29dacb'],
  ])('OpenSSH_%s has the hasshServer of the real one', (version, hasshServer) => {
    const [kex, , , cipher, , mac, , compression] = listsOf(offerOf(releaseOf(version)), KEYS);
    expect(hash('md5', [kex, cipher, mac, compression].join(';'))).toBe(hasshServer);
  });

  test('every release of the personas has one', () => {
    for (const release of RELEASES) expect(offerOf(release).kex.length).toBeGreaterThan(9);
  });

  test('a host key that we do not have is not offered', () => {
    expect(listsOf(offerOf(releaseOf('8.4')), ['ssh-ed25519', 'ecdsa-sha2-nistp256'])[1]).toBe('ecdsa-sha2-nistp256,ssh-ed25519');
  });
});

describe('what is settled on', () => {
  test('the client chooses, in its order', () => {
    const asked = listsAsked(clientOf({ 0: 'diffie-hellman-group16-sha512,curve25519-sha256', 2: 'aes128-ctr,chacha20-poly1305@openssh.com', 4: 'hmac-sha1' }));
    expect(asked).toMatchObject({ kex: 'diffie-hellman-group16-sha512', encryptionToServer: 'aes128-ctr', macToServer: 'hmac-sha1' });
  });

  test('the hybrid is carried out on the curve, and the flags of the client stay', () => {
    const result = settled(clientOf({}));
    expect(result).toMatchObject({ ok: true, value: { kex: HYBRID, wrongGuess: false } });
    expect(listsAsked(clientOf({})).kex).toBe('curve25519-sha256,ext-info-c');
  });

  test('an authenticated cipher needs no MAC that we could not do', () => {
    expect(listsAsked(clientOf({ 4: 'umac-64@openssh.com', 5: '' })).macToServer).toBe('hmac-sha2-256');
  });

  test('UMAC, which ssh2 has not, is offered and not carried out', () => {
    expect(settled(clientOf({ 2: 'aes128-ctr', 4: 'umac-64-etm@openssh.com,hmac-sha1' }))).toEqual({ ok: false, why: 'no-umac' });
  });

  test.each([0, 1, 2, 3, 6, 7])('nothing in common in list %i is the end', list => {
    expect(settled(clientOf({ [list]: 'rot13' }))).toEqual({ ok: false, why: 'no-common' });
    expect(settled(clientOf({ [list]: '' }))).toEqual({ ok: false, why: 'no-common' });
  });

  test('a flag is no key exchange', () => {
    expect(settled(clientOf({ 0: 'kex-strict-s-v00@openssh.com' }))).toEqual({ ok: false, why: 'no-common' });
  });

  test('a guess is wrong unless the first of both lists are the same', () => {
    expect(settled(clientOf({ 1: 'rsa-sha2-512' }, true))).toMatchObject({ value: { wrongGuess: false } });
    expect(settled(clientOf({}, true))).toMatchObject({ value: { wrongGuess: true } });
    expect(settled(clientOf({ 0: 'curve25519-sha256', 1: 'rsa-sha2-512' }, true))).toMatchObject({ value: { wrongGuess: true } });
  });
});
