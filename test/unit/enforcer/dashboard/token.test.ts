import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashOf, holdsToken, presentedToken, tokenOf } from '#enforcer/dashboard/token.ts';
import { createTokenKeeper } from '#enforcer/dashboard/token-keeper.ts';

const random = (bytes: number): Uint8Array => Uint8Array.from(randomBytes(bytes));
let directory: string;
let nowMs: number;
const now = () => unixMs(nowMs);
const keeper = () => createTokenKeeper({ directory: join(directory, 'dashboard') }, { now, random });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'honeymesh-token-'));
  nowMs = Date.UTC(2026, 10, 24, 12);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('a token', () => {
  test('is 256 random bits in hexadecimal digits', () => {
    const tokens = new Set(Array.from({ length: 64 }, () => tokenOf(random)));
    expect(tokens.size).toBe(64);
    for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{64}$/);
  });

  test('is told from every other one, also from those that begin like it, are longer, shorter or written otherwise', () => {
    const token = tokenOf(random);
    const hash = hashOf(token);
    expect(holdsToken(token, hash)).toBe(true);
    const flipped = (at: number) => `${token.slice(0, at)}${token[at] === '0' ? '1' : '0'}${token.slice(at + 1)}`;
    for (const other of ['', '0', token.slice(0, 63), `${token}0`, `${token}\0`, token.toUpperCase(), ...Array.from({ length: 64 }, (_, at) => flipped(at))])
      if (other !== token) expect(holdsToken(other, hash)).toBe(false);
  });

  test('is compared in a time that does not tell how much of it is right', () => {
    const token = tokenOf(random);
    const hash = hashOf(token);
    const [early, late] = [`${token[0] === '0' ? '1' : '0'}${token.slice(1)}`, `${token.slice(0, 63)}${token[63] === '0' ? '1' : '0'}`];
    // Half and half is what a loaded machine shows, too, since both sides wait alike.
    expect(shareLater(given => void holdsToken(given, hash), early, late)).toBeGreaterThan(0.4);
    expect(shareLater(given => void holdsToken(given, hash), early, late)).toBeLessThan(0.6);
    // The same measure tells a comparison that stops at the first difference.
    expect(shareLater(given => void stopsEarly(given, token), early, late)).toBeGreaterThan(0.8);
  });

  test('travels in Authorization, in a header of our own, and where a route says so in the address; the first that says something counts', () => {
    const none = { authorization: undefined, 'x-honeymesh-token': undefined, query: undefined };
    expect(presentedToken(none)).toBeUndefined();
    expect(presentedToken({ ...none, authorization: 'Bearer abc' })).toBe('abc');
    expect(presentedToken({ ...none, authorization: 'bearer   abc ' })).toBe('abc');
    expect(presentedToken({ ...none, authorization: 'Basic YWJj' })).toBeUndefined();
    expect(presentedToken({ ...none, 'x-honeymesh-token': 'x' })).toBe('x');
    expect(presentedToken({ authorization: 'Bearer a', 'x-honeymesh-token': 'b', query: 'c' })).toBe('a');
    expect(presentedToken({ ...none, query: 'c'.repeat(10_000) })).toHaveLength(256);
  });
});

describe('what is kept', () => {
  test('is a hash: the token is told when it is made and never again', async () => {
    const token = await keeper().open();
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    const path = join(directory, 'dashboard', 'token.json');
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain(token);
    expect(text).toContain(createHash('sha256').update(String(token)).digest('hex'));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const again = keeper();
    expect(await again.open()).toBeNull();
    expect(again.check(String(token))).not.toBeNull();
  });

  test('a rotation ends the old token at once, also over a restart', async () => {
    const tokens = keeper();
    const old = String(await tokens.open());
    const number = tokens.check(old);
    if (number === null) throw new Error('it holds');
    const { token, formerUntil } = await tokens.rotate(0);
    expect(formerUntil).toBeNull();
    expect(tokens.check(old)).toBeNull();
    expect(tokens.holds(number)).toBe(false);
    expect(tokens.check(token)).not.toBeNull();
    const again = keeper();
    await again.open();
    expect(again.check(old)).toBeNull();
    expect(again.check(token)).not.toBeNull();
  });

  test('with a grace the old one holds for so long and not a moment longer, also over a restart', async () => {
    const tokens = keeper();
    const old = String(await tokens.open());
    await tokens.rotate(60_000);
    expect(tokens.check(old)).not.toBeNull();
    const again = keeper();
    await again.open();
    nowMs += 59_999;
    expect(again.check(old)).not.toBeNull();
    nowMs += 1;
    expect(tokens.check(old)).toBeNull();
    expect(again.check(old)).toBeNull();
  });

  test('of rotations at the same time each answer but the last is dead, and all are told which', async () => {
    const tokens = keeper();
    await tokens.open();
    const made = await Promise.all([tokens.rotate(0), tokens.rotate(0), tokens.rotate(0)]);
    expect(made.map(({ token }) => tokens.check(token) !== null)).toEqual([false, false, true]);
  });

  test('a damaged file lets nobody in, is set aside and said', async () => {
    const old = String(await keeper().open());
    writeFileSync(join(directory, 'dashboard', 'token.json'), '{"version":1,"sha256":"');
    const tokens = keeper();
    const token = await tokens.open();
    expect(tokens.damaged?.why).toMatch(/set aside as token\.json\.damaged-/);
    expect(tokens.check(old)).toBeNull();
    expect(tokens.check(String(token))).not.toBeNull();
  });

  test('before it is opened nobody is let in', () => {
    expect(keeper().check('')).toBeNull();
    expect(keeper().check('0'.repeat(64))).toBeNull();
  });
});

/** How often the later difference takes longer, of two draws: rank sums (Mann-Whitney) of calls in turn, where the turn itself changes sides. */
function shareLater(compare: (given: string) => void, early: string, late: string): number {
  const samples: [number[], number[]] = [[], []];
  const rounds = 2_000;
  for (let round = -500; round < rounds * 2; round++) {
    const which = ((round + (round >> 1)) & 1) as 0 | 1;
    const startedNs = process.hrtime.bigint();
    for (let times = 0; times < 8; times++) compare(which === 0 ? early : late);
    if (round >= 0) samples[which].push(Number(process.hrtime.bigint() - startedNs));
  }
  return shareAbove(samples[1], samples[0]);
}

function stopsEarly(given: string, right: string): boolean {
  for (let at = 0; at < right.length; at++) if (given.charCodeAt(at) !== right.charCodeAt(at)) return false;
  return true;
}

/** Of all pairs, the share in which `one` is greater; half of those that are equal. */
function shareAbove(one: readonly number[], other: readonly number[]): number {
  const all = [...one.map(value => ({ value, mine: true })), ...other.map(value => ({ value, mine: false }))].sort((a, b) => a.value - b.value);
  let rankSum = 0;
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (all[to + 1]?.value === all[from]?.value && to + 1 < all.length) to++;
    const rank = (from + to) / 2 + 1;
    for (let at = from; at <= to; at++) if (all[at]?.mine === true) rankSum += rank;
    from = to + 1;
  }
  return (rankSum - (one.length * (one.length + 1)) / 2) / (one.length * other.length);
}
