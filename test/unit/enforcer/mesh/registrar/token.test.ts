import { fc, test } from '@fast-check/vitest';
import { HOUR_MS, MINUTE_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { createInvites, MOST_OPEN, MOST_REMEMBERED } from '#enforcer/mesh/registrar/invites.ts';
import { decodeToken, encodeToken, type JoinToken } from '#enforcer/mesh/registrar/token.ts';
import { CLUSTER, NOON, secretOf } from '#test/support/hm1.ts';

const token: JoinToken = {
  clusterId: CLUSTER,
  pin: secretOf('pin'),
  secret: secretOf('secret').subarray(0, 16),
  expiresAt: unixMs(NOON + HOUR_MS),
  site: 'home',
  addresses: ['198.51.100.7:7947', '[2001:db8::7]:7947'],
};

describe('a token', () => {
  test('is one word that says all there is to say', () => {
    const text = encodeToken(token);
    expect(text).toMatch(/^hmj1_[\w-]+$/);
    expect(text.length).toBeLessThan(200);
    expect(decodeToken(text)).toEqual({ ok: true, value: token });
  });

  test('may be wrapped by a terminal on its way', () => {
    expect(decodeToken(` ${encodeToken(token).replace(/(.{40})/g, '$1\n  ')}\n`)).toEqual({ ok: true, value: token });
  });

  test('says so where it was cut, at whatever place', () => {
    const text = encodeToken(token);
    for (let length = 'hmj1_'.length; length < text.length; length++) expect(decodeToken(text.slice(0, length))).toEqual({ ok: false, why: 'cut-or-mistyped' });
  });

  test('says so where one character is another', () => {
    const text = encodeToken(token);
    for (let at = 'hmj1_'.length; at < text.length - 1; at++) {
      const wrong = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
      expect(decodeToken(wrong)).toEqual({ ok: false, why: 'cut-or-mistyped' });
    }
  });

  test('of a later version is told from what is no token', () => {
    expect(decodeToken(encodeToken(token).replace('hmj1_', 'hmj2_'))).toEqual({ ok: false, why: 'other-version' });
    expect(decodeToken('a1b2c3')).toEqual({ ok: false, why: 'not-a-token' });
    expect(decodeToken('x'.repeat(100_000))).toEqual({ ok: false, why: 'not-a-token' });
  });

  test.prop([
    fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 400 }).map(bytes => `hmj1_${Buffer.from(bytes).toString('base64url')}`),
    ),
  ])('that nobody made never throws and is never taken', text => {
    expect(decodeToken(text).ok).toBe(false);
  });
});

describe('invitations', () => {
  const open = (invites: ReturnType<typeof createInvites>, name: string, now = NOON) =>
    invites.open({ secret: secretOf(name), site: 'home', ttlMs: HOUR_MS, uses: 1 }, now);

  test('hold the hash of a secret and never the secret', () => {
    const invites = createInvites([]);
    open(invites, 'one');
    const text = JSON.stringify(invites.kept());
    for (const form of ['hex', 'base64', 'base64url'] as const) expect(text).not.toContain(Buffer.from(secretOf('one')).toString(form));
  });

  test('work once, also when the registrar was restarted in between', () => {
    const first = createInvites([]);
    first.use(open(first, 'one')?.id ?? '', 'k1');
    const second = createInvites(JSON.parse(JSON.stringify(first.kept())));
    expect(second.look(secretOf('one'), NOON)).toBe('used-token');
  });

  test('never hold longer than an hour, whatever was asked', () => {
    const invites = createInvites([]);
    const invite = invites.open({ secret: secretOf('one'), site: 'home', ttlMs: 24 * HOUR_MS, uses: 1 }, NOON);
    expect(invite?.expiresAt).toBe(NOON + HOUR_MS);
    expect(invites.look(secretOf('one'), unixMs(NOON + HOUR_MS))).toBe('expired-token');
  });

  test('are so many at once and no more; ended ones make room', () => {
    const invites = createInvites([]);
    for (let at = 0; at < MOST_OPEN; at++) expect(open(invites, `s${at}`)).not.toBeNull();
    expect(open(invites, 'one too many')).toBeNull();
    expect(invites.cancel(invites.openOnes(NOON)[0]?.id ?? '', NOON)).toBe(true);
    expect(open(invites, 'now there is room')).not.toBeNull();
    expect(open(invites, 'later', unixMs(NOON + 2 * HOUR_MS))).not.toBeNull();
  });

  test('of the last day are remembered within a bound', () => {
    const invites = createInvites([]);
    for (let at = 0; at < 2 * MOST_REMEMBERED; at++) {
      const now = unixMs(NOON + at * MINUTE_MS);
      invites.use(open(invites, `s${at}`, now)?.id ?? '', 'k');
    }
    expect(invites.kept().length).toBeLessThanOrEqual(MOST_REMEMBERED);
  });
});
