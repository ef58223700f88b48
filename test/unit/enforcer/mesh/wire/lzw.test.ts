/** LZW against a decoder written another way (strings of a table, as the GIF specification tells it), and against bombs. */
import { describe, expect, test } from 'vitest';
import { compressLzw, expandLzw } from '#enforcer/mesh/protocol/wire/lzw.ts';
import { ascii, toHex } from '#test/support/memberlist-vectors.ts';
import { diceOf } from '#test/support/mutations.ts';

/** The codes of `packed`, read bit by bit, and what they stand for. */
function reference(packed: Uint8Array): string {
  const bits = [...packed].map(byte => byte.toString(2).padStart(8, '0').split('').reverse().join('')).join('');
  let table: string[] = [];
  let [at, width, previous, out] = [0, 9, '', ''];
  const reset = (): void => {
    table = [...Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)), 'clear', 'end'];
    [width, previous] = [9, ''];
  };
  reset();
  for (;;) {
    const code = Number.parseInt(
      bits
        .slice(at, at + width)
        .split('')
        .reverse()
        .join(''),
      2,
    );
    at += width;
    if (code === 257) return out;
    if (code === 256) {
      reset();
      continue;
    }
    const entry = table[code] ?? previous + previous.charAt(0);
    if (previous !== '' && table.length < 4096) table.push(previous + entry.charAt(0));
    // The encoder is one entry ahead of the decoder: a code grows when the table is as full as the width can say.
    if (table.length + 1 > 2 ** width && width < 12) width++;
    previous = entry;
    out += entry;
  }
}

function noise(length: number, letters: number, seed: number): Uint8Array {
  const dice = diceOf(seed);
  return Uint8Array.from({ length }, () => dice.below(letters));
}

const SAMPLES: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', new Uint8Array(0)],
  ['one byte', Uint8Array.of(255)],
  ['the same byte, so that a code is used as it is made', new Uint8Array(3000).fill(7)],
  ['two letters', noise(9000, 2, 1)],
  ['noise that fills the table many times', noise(40_000, 256, 2)],
  ['few letters, long stretches', noise(60_000, 5, 3)],
  ['text', ascii('the quick brown fox jumps over the lazy dog. '.repeat(300))],
];

test.each(SAMPLES)('%s comes back, by our decoder and by the other', (_, plain) => {
  const packed = compressLzw(plain);
  expect(expandLzw(packed, plain.length)).toEqual({ ok: true, value: plain });
  expect(Buffer.from(reference(packed), 'latin1').equals(plain)).toBe(true);
});

test.each(Array.from({ length: 60 }, (_, step) => 3780 + step * 10))('%i bytes that never repeat: the table fills and the stream ends about there', length => {
  const plain = Uint8Array.from({ length }, (_, at) => ((at * at * 31) ^ (at >> 3)) & 0xff);
  expect(expandLzw(compressLzw(plain), length)).toEqual({ ok: true, value: plain });
});

test('nothing and a word are what Go makes of them', () => {
  expect(toHex(compressLzw(new Uint8Array(0)))).toBe('000302');
  expect(toHex(compressLzw(ascii('testing')))).toBe('00e9949943278d9b330101');
});

/** Codes of `width` bits, least significant first. */
function packCodes(codes: readonly (readonly [code: number, width: number])[]): Uint8Array {
  const bits = codes.map(([code, width]) => code.toString(2).padStart(width, '0').split('').reverse().join('')).join('');
  return Uint8Array.from(bits.match(/.{1,8}/g) ?? [], byte => Number.parseInt(byte.padEnd(8, '0').split('').reverse().join(''), 2));
}

describe('streams that Go would not write', () => {
  test.each([
    [
      'a code that was never made',
      packCodes([
        [256, 9],
        [65, 9],
        [300, 9],
      ]),
    ],
    [
      'the code after the newest',
      packCodes([
        [256, 9],
        [65, 9],
        [259, 9],
        [257, 9],
      ]),
    ],
    [
      'a code right after the clear code',
      packCodes([
        [256, 9],
        [258, 9],
      ]),
    ],
    [
      'no end',
      packCodes([
        [256, 9],
        [65, 9],
      ]),
    ],
    ['nothing', new Uint8Array(0)],
  ])('%s is refused', (_, packed) => expect(expandLzw(packed, 100)).toEqual({ ok: false, why: 'bad-compression' }));

  test('no clear code at the start, and bytes behind the end, are taken', () => {
    expect(
      expandLzw(
        Uint8Array.of(
          ...packCodes([
            [65, 9],
            [258, 9],
            [257, 9],
          ]),
          1,
          2,
          3,
        ),
        100,
      ),
    ).toEqual({ ok: true, value: ascii('AAA') });
  });

  test('a full table is kept until it is cleared (deferred clear)', () => {
    const literals = Array.from({ length: 5000 }, (_, at) => at % 251);
    const widthAt = (position: number): number => Math.min(12, Math.max(9, Math.floor(Math.log2(257 + position)) + 1));
    const codes = literals.map((literal, position) => [literal, widthAt(position)] as const);
    // 4095 is the last code that was made: the last but one literal of the table's time and the one after it.
    const packed = packCodes([...codes, [4095, 12], [257, 12]]);
    const expansion = expandLzw(packed, 6000);
    const pair = [literals[4095 - 258] ?? 0, literals[4095 - 257] ?? 0];
    expect(expansion).toEqual({ ok: true, value: Uint8Array.from([...literals, ...pair]) });
  });
});

describe('a bomb', () => {
  const limit = 2 * 1024 * 1024;
  const widthAt = (position: number): number => Math.min(12, Math.max(9, Math.floor(Math.log2(257 + position)) + 1));
  const BOMBS: readonly (readonly [string, Uint8Array])[] = [
    ['that Go would write (1355 to one in the long run)', compressLzw(new Uint8Array(16 * 1024 * 1024))],
    [
      'that never clears its full table (2558 to one)',
      packCodes([[0, 9], ...Array.from({ length: 43_000 }, (_, at) => [Math.min(4095, 258 + at), widthAt(at + 1)] as const)]),
    ],
  ];

  test.each(BOMBS)('%s ends at the limit', (_, bomb) => {
    expect(expandLzw(bomb, limit)).toEqual({ ok: false, why: 'expands-too-far' });
    expect(expandLzw(bomb.subarray(0, 1200), limit)).toEqual({ ok: false, why: 'bad-compression' });
  });

  test.each(BOMBS)('%s costs time for its limit, not for what it claims', (_, bomb) => {
    const startedAt = performance.now();
    for (let round = 0; round < 5; round++) expandLzw(bomb, 64 * 1024);
    expect(performance.now() - startedAt).toBeLessThan(250);
  });

  test('a limit that is met exactly is met', () => {
    const packed = compressLzw(new Uint8Array(1000));
    expect(expandLzw(packed, 1000).ok).toBe(true);
    expect(expandLzw(packed, 999)).toEqual({ ok: false, why: 'expands-too-far' });
  });
});
