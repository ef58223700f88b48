import { createDiffieHellmanGroup, createHash, hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ByteReader, bytesOf, u32 } from '#enforcer/traps/protocols/bytes.ts';
import { type Exchange, makeGroupExchange, makeHybrid } from '#enforcer/traps/server/ssh-exchanges.ts';
import { readString, sshString } from '#enforcer/traps/server/ssh-messages.ts';
import { CIPHERTEXT_BYTES, encapsulate, PUBLIC_KEY_BYTES, RANDOM_BYTES } from '#enforcer/traps/server/ssh-sntrup761.ts';

/** Bytes that hang on nothing but `label`. */
const fixed = (label: string, length: number): Buffer =>
  Buffer.concat(Array.from({ length: Math.ceil(length / 32) }, (_none, at) => createHash('sha256').update(`${label}${at}`).digest())).subarray(0, length);

describe('NTRU Prime', () => {
  test('gives what OpenSSH agreed with (the first half of the hash of both outputs)', () => {
    const { ciphertext, sharedKey } = encapsulate(fixed('key', PUBLIC_KEY_BYTES), fixed('random', RANDOM_BYTES));
    expect(ciphertext).toHaveLength(CIPHERTEXT_BYTES);
    expect(sharedKey).toHaveLength(32);
    expect(hash('sha256', Buffer.concat([ciphertext, sharedKey]), 'hex').slice(0, 32)).toBe('7ef215d58d119f9ba2da2fe5fa09effe');
  });

  test('depends on the key and on the draw', () => {
    const results = [
      ['key', 'random'],
      ['key', 'other'],
      ['other', 'random'],
    ].map(([key = '', random = '']) => encapsulate(fixed(key, PUBLIC_KEY_BYTES), fixed(random, RANDOM_BYTES)).sharedKey.toString('hex'));
    expect(new Set(results).size).toBe(3);
  });
});

/** ssh2's exchange on curve25519, as far as it is asked. */
function curveExchange(secret: Buffer): Exchange {
  return { getPublicKey: () => Buffer.alloc(32, 1), computeSecret: () => secret, convertPublicKey: (key: Buffer) => key.subarray(1) } as unknown as Exchange;
}

describe('the hybrid', () => {
  const clientKey = Buffer.concat([fixed('key', PUBLIC_KEY_BYTES), Buffer.alloc(32, 2)]);

  test('answers by the ciphertext and the curve’s key', () => {
    const exchange = curveExchange(Buffer.alloc(32, 3));
    makeHybrid(exchange);
    expect(exchange.computeSecret(clientKey)).toHaveLength(64);
    expect(exchange.getPublicKey()).toHaveLength(CIPHERTEXT_BYTES + 32);
    expect(exchange.getPublicKey().subarray(-32)).toEqual(Buffer.alloc(32, 1));
    expect(exchange.convertPublicKey(clientKey)).toBe(clientKey);
    expect(exchange.hashName).toBe('sha512');
  });

  // ssh2 gives the secret as a number: a sign byte before a high bit, no zeros in front.
  test.each([
    ['with a byte for the sign', Buffer.concat([Buffer.of(0), Buffer.alloc(32, 0xf0)])],
    ['without the zeros in front', Buffer.alloc(30, 0x11)],
  ])('takes the curve’s secret as 32 bytes: %s', (_how, mpint) => {
    const whole = Buffer.concat([Buffer.alloc(32), mpint]).subarray(-32);
    const [given, meant] = [mpint, whole].map(secret => {
      const exchange = curveExchange(secret);
      makeHybrid(exchange, bytes => fixed('random', bytes));
      return exchange.computeSecret(clientKey);
    });
    expect(given).toEqual(meant);
  });

  test.each([0, 32, PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES + 33])('refuses a key of %i bytes', length => {
    const exchange = curveExchange(Buffer.alloc(32));
    makeHybrid(exchange);
    expect(exchange.computeSecret(Buffer.alloc(length))).toBeInstanceOf(Error);
  });
});

describe('a group that the server chooses', () => {
  function started() {
    const parsed: number[] = [];
    const base = { parse: (payload: Buffer) => void parsed.push(payload[0] ?? 0) };
    const exchange: Exchange = Object.assign(Object.create(Object.create(base)), { _dh: null });
    const sent: Uint8Array[] = [];
    const retyped: number[] = [];
    makeGroupExchange(exchange, { send: payload => void sent.push(payload), retypeNext: type => void retyped.push(type) });
    const ask = (least: number, wanted: number, most: number): unknown => exchange.parse(Buffer.from(bytesOf(34, u32(least), u32(wanted), u32(most))));
    return { exchange, sent, retyped, parsed, ask };
  }

  test.each([
    [1024, 1024, 8192, 'modp14'],
    [2048, 3000, 8192, 'modp15'],
    [2048, 4096, 4096, 'modp16'],
    [2048, 7680, 8192, 'modp18'],
    [2048, 8192, 8192, 'modp18'],
    [2048, 3072, 3072, 'modp15'],
    [2048, 2048, 2500, 'modp14'],
    [2048, 4096, 100_000, 'modp16'],
  ])('from %i bits, %i wanted, to %i is %s', (least, wanted, most, group) => {
    const { exchange, sent, ask } = started();
    ask(least, wanted, most);
    const reader = new ByteReader((sent[0] ?? new Uint8Array()).subarray(1));
    expect(sent[0]?.[0]).toBe(31);
    expect(Buffer.from(readString(reader).subarray(1))).toEqual(createDiffieHellmanGroup(group).getPrime()); // after the sign byte
    expect(Buffer.from(readString(reader))).toEqual(Buffer.of(2));
    expect([exchange._minBits, exchange._prefBits, exchange._maxBits]).toEqual([least, wanted, most]);
  });

  test('then goes on as with any group, its reply of another type', () => {
    const { exchange, retyped, parsed, ask } = started();
    ask(2048, 2048, 8192);
    exchange.parse(Buffer.from(bytesOf(32, sshString(new Uint8Array(256).fill(5)))));
    expect({ retyped, parsed }).toEqual({ retyped: [33], parsed: [30] });
  });

  test.each([
    [8192, 2048, 1024],
    [1024, 1024, 1024],
    [9000, 9000, 9000],
  ])('is refused where there is none: %i, %i, %i', (least, wanted, most) => {
    expect(() => started().ask(least, wanted, most)).toThrow('out of bounds');
  });

  test('is chosen once', () => {
    const { ask } = started();
    ask(2048, 2048, 8192);
    expect(() => ask(2048, 2048, 8192)).toThrow('out of order');
  });
});
