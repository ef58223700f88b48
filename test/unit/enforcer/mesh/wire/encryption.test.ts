/** memberlist's security_test.go and keyring_test.go, and what Go does not check. */
import { createCipheriv } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { joined, NO_BYTES } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { ENCRYPTION_OVERHEAD, encryptionVersionOf, open, sealed, sealedLength } from '#enforcer/mesh/protocol/wire/encryption.ts';
import { createKeyring, type Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { ascii, countedKey, toHex } from '#test/support/memberlist-vectors.ts';

const key = (seed: number, length = 16): Uint8Array => new Uint8Array(length).fill(seed);
const nonce = new Uint8Array(12).fill(3);
const seal = (plain: Uint8Array, ring: Keyring, version: 0 | 1 = 1, context = NO_BYTES): Uint8Array => {
  if (ring.primary === null) throw new Error('no key');
  return sealed(plain, { key: ring.primary, version, nonce, context });
};
/** An authentic blob of version 0 around `padded`, whatever its padding says: what only a holder of the key can send. */
function blobAround(padded: Uint8Array, secret: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-gcm', secret, nonce);
  const body = cipher.update(padded);
  cipher.final();
  return joined(Uint8Array.of(0), nonce, body, cipher.getAuthTag());
}

describe('sealed and opened', () => {
  const ring = createKeyring([key(1)]);

  test.each([0, 1] as const)('1 to 256 bytes in version %i', version => {
    for (let length = 1; length <= 256; length++) {
      const plain = Uint8Array.from({ length }, (_, at) => at & 0xff);
      const blob = seal(plain, ring, version, ascii('label'));
      expect(blob.length).toBe(sealedLength(length, version));
      expect(open(blob, ring, ascii('label'), undefined)).toMatchObject({ ok: true, value: { plain, nonce } });
    }
  });

  test('protocol 1 pads, later ones do not', () => expect([1, 2, 3, 4, 5].map(encryptionVersionOf)).toEqual([0, 1, 1, 1, 1]));

  test('the lengths are those of memberlist: 29 bytes more, or 29 and padding of 1 to 16', () => {
    expect(ENCRYPTION_OVERHEAD).toEqual({ 0: 45, 1: 29 });
    expect([0, 15, 16, 17].map(length => sealedLength(length, 0) - length - 29)).toEqual([16, 1, 16, 15]);
    expect(sealedLength(1000, 1)).toBe(1029);
  });

  test.each([
    ['another label', (blob: Uint8Array) => blob, ascii('other'), 'no-key-fits'],
    ['a changed byte', (blob: Uint8Array) => blob.with(20, (blob[20] ?? 0) ^ 1), ascii('label'), 'no-key-fits'],
    ['a changed tag', (blob: Uint8Array) => blob.with(-1, (blob.at(-1) ?? 0) ^ 1), ascii('label'), 'no-key-fits'],
    ['a changed version', (blob: Uint8Array) => blob.with(0, 2), ascii('label'), 'encryption-version'],
    ['a message type instead of a version', (blob: Uint8Array) => blob.with(0, 0x0c), ascii('label'), 'encryption-version'],
    ['28 bytes', (blob: Uint8Array) => blob.subarray(0, 28), ascii('label'), 'ciphertext-too-short'],
    ['44 bytes of version 0', (blob: Uint8Array) => blob.subarray(0, 44).with(0, 0), ascii('label'), 'ciphertext-too-short'],
    ['nothing', () => NO_BYTES, ascii('label'), 'empty'],
  ] as const)('%s is refused', (_, spoil, label, why) => {
    const blob = spoil(seal(new Uint8Array(64).fill(9), ring, 1, ascii('label')));
    expect(open(blob, ring, label, undefined)).toEqual({ ok: false, why });
  });

  test('the version is not authenticated, which no receiver can mend: who flips it on the way adds padding to a message, or cuts off what looks like some', () => {
    const padded = seal(ascii('hello'), ring, 0).with(0, 1);
    expect(open(padded, ring, NO_BYTES, undefined)).toMatchObject({ ok: true, value: { plain: joined(ascii('hello'), new Uint8Array(11).fill(11)) } });
    const cut = seal(joined(ascii('hello'), new Uint8Array(40).fill(1)), ring, 1).with(0, 0);
    expect(open(cut, ring, NO_BYTES, undefined)).toMatchObject({ ok: true, value: { plain: joined(ascii('hello'), new Uint8Array(39).fill(1)) } });
    expect(open(seal(ascii('hello world, hello all'), ring, 1).with(0, 0), ring, NO_BYTES, undefined)).toEqual({ ok: false, why: 'bad-padding' });
  });

  test('a nonce of another length is a bug of ours', () => {
    expect(() => sealed(NO_BYTES, { key: createKeyring([key(1)]).keys[0] as never, version: 1, nonce: new Uint8Array(8), context: NO_BYTES })).toThrow(
      RangeError,
    );
  });
});

describe('the two blobs that end a Go process of v0.7.0', () => {
  const ring = createKeyring([key(1)]);

  test.each([
    ['more padding than there are bytes', new Uint8Array(16).fill(200)],
    ['no padding', new Uint8Array(16)],
    ['padding of 17', new Uint8Array(32).fill(17)],
    ['padding whose bytes differ', new Uint8Array(16).fill(1).with(15, 2)],
  ])('bad padding, %s', (_, plain) => {
    expect(open(blobAround(plain, key(1)), ring, NO_BYTES, undefined)).toEqual({ ok: false, why: 'bad-padding' });
  });

  test('nothing was encrypted, in either version', () => {
    expect(open(seal(NO_BYTES, ring, 1), ring, NO_BYTES, undefined)).toEqual({ ok: false, why: 'empty-plaintext' });
    expect(open(seal(NO_BYTES, ring, 0), ring, NO_BYTES, undefined)).toEqual({ ok: false, why: 'empty-plaintext' });
  });
});

describe('the keyring', () => {
  const listed = (ring: Keyring): readonly string[] => ring.keys.map(({ bytes }) => toHex(bytes).slice(0, 2));

  test('may be empty, and its first key becomes the primary', () => {
    const ring = createKeyring();
    expect([ring.primary, ring.keys]).toEqual([null, []]);
    expect(ring.add(key(7)).ok).toBe(true);
    expect(toHex(ring.primary?.bytes ?? NO_BYTES)).toBe(toHex(key(7)));
  });

  test('keeps order: add appends, use moves to the front, remove takes out', () => {
    const ring = createKeyring([key(1), key(2)]);
    ring.add(key(3, 24));
    ring.add(key(2));
    expect(listed(ring)).toEqual(['01', '02', '03']);
    expect(ring.use(key(3, 24)).ok).toBe(true);
    expect(listed(ring)).toEqual(['03', '01', '02']);
    expect(ring.remove(key(1)).ok).toBe(true);
    expect(listed(ring)).toEqual(['03', '02']);
  });

  test('refuses other sizes, unknown keys and to lose its primary', () => {
    const ring = createKeyring([key(1), key(2)]);
    expect(ring.add(key(1, 17))).toEqual({ ok: false, why: 'key-size' });
    expect(ring.use(key(9))).toEqual({ ok: false, why: 'unknown-key' });
    expect(ring.remove(key(1))).toEqual({ ok: false, why: 'primary-key' });
    expect(ring.remove(key(9))).toEqual({ ok: true, value: null });
    expect(listed(ring)).toEqual(['01', '02']);
    expect(() => createKeyring([key(1, 5)])).toThrow(RangeError);
  });

  test('decrypts with any key and encrypts with the primary alone', () => {
    const old = createKeyring([key(1)]);
    const both = createKeyring([key(2), key(1)]);
    expect(open(seal(ascii('x'), old), both, NO_BYTES, undefined)).toMatchObject({ ok: true });
    expect(open(seal(ascii('x'), both), old, NO_BYTES, undefined)).toEqual({ ok: false, why: 'no-key-fits' });
  });

  test('all three key sizes side by side', () => {
    const ring = createKeyring([16, 24, 32].map(countedKey));
    for (const size of [16, 24, 32]) expect(open(seal(ascii('x'), createKeyring([countedKey(size)])), ring, NO_BYTES, undefined).ok).toBe(true);
    expect(ring.keys.map(({ cipher }) => cipher)).toEqual(['aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm']);
  });

  test('a caller that wipes its key does not change the ring', () => {
    const bytes = key(1);
    const ring = createKeyring([bytes]);
    bytes.fill(0);
    expect(ring.keys.map(one => one.bytes)).toEqual([key(1)]);
    expect(open(seal(ascii('x'), createKeyring([key(1)])), ring, NO_BYTES, undefined).ok).toBe(true);
  });

  test('a source is tried first with the key that it used last, until that key is removed', () => {
    const ring = createKeyring([key(1), key(2), key(3)]);
    const first = (source: string): string => toHex(ring.inOrderFor(source)[0]?.bytes ?? NO_BYTES).slice(0, 2);
    open(seal(ascii('x'), createKeyring([key(3)])), ring, NO_BYTES, 'late');
    expect([first('late'), first('other')]).toEqual(['03', '01']);
    expect(ring.inOrderFor('late')).toHaveLength(3);
    open(seal(ascii('x'), createKeyring([key(1)])), ring, NO_BYTES, 'late');
    expect(first('late')).toBe('01');
    open(seal(ascii('x'), createKeyring([key(3)])), ring, NO_BYTES, 'late');
    ring.remove(key(3));
    expect(first('late')).toBe('01');
    expect(open(seal(ascii('x'), createKeyring([key(3)])), ring, NO_BYTES, 'late')).toEqual({ ok: false, why: 'no-key-fits' });
  });

  test('a flood of sources costs bounded memory and no key', () => {
    const ring = createKeyring([key(1), key(2)]);
    const [, second] = ring.keys;
    for (let source = 0; source < 10_000; source++) if (second !== undefined) ring.fitted(`${source}`, second);
    expect(ring.inOrderFor('9999')[0]).toBe(second);
    expect(ring.inOrderFor('0')[0]).toBe(ring.primary);
  });

  test('a rotation in three steps loses nothing, whoever is ahead', () => {
    const [one, other] = [createKeyring([key(1)]), createKeyring([key(1)])];
    const bothWays = (): boolean => open(seal(ascii('x'), one), other, NO_BYTES, 'one').ok && open(seal(ascii('x'), other), one, NO_BYTES, 'other').ok;
    for (const step of ['add', 'use', 'remove'] as const) {
      for (const ring of [one, other]) {
        ring[step](step === 'remove' ? key(1) : key(2));
        expect(bothWays()).toBe(true);
      }
    }
    expect([listed(one), listed(other)]).toEqual([['02'], ['02']]);
  });
});
