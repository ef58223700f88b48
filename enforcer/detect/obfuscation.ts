/**
 * What is written so that it is not read (T1027): escapes where letters would do, programs in base64, bytes that look random where nothing random is due.
 * A flag: it goes with what the other rules find, and alone proves nothing. Tokens, images, archives and TLS are random by right and are left alone.
 */
import type { Finding } from '@honeymesh/intel/findings';
import { LONGEST_QUOTE } from '@honeymesh/intel/findings';
import { BODY, HEADER, hidden, LINE, MAIL, NAME, OPAQUE, type Rule, SERVICE, SHELL, TARGET, WEB } from './rules.ts';

export const OBFUSCATION_RULES: readonly Rule[] = [
  // Five letters in a row that no encoder encodes.
  hidden('encoded-letters', { places: TARGET | BODY | HEADER, words: ['%4', '%5', '%6', '%7'], shape: /(?:%(?:4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])){5}/ }),
  hidden('escaped-letters', { places: WEB | SHELL | SERVICE, words: ['\\u00'], shape: /(?:\\u00(?:4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])){4}/ }),
  hidden('escaped-bytes', { places: WEB | SHELL | SERVICE, words: ['\\x'], shape: /(?:\\{1,2}x[0-9a-f]{2}){8}/ }),
  hidden('escaped-bytes', { places: SHELL | SERVICE, words: ['\\0', '\\1'], shape: /(?:\\{1,2}0?[01][0-7]{2}){8}/ }),
  hidden('character-codes', {
    places: WEB | SHELL | SERVICE,
    words: ['fromcharcode(', 'chr(', 'char('],
    shape:
      /fromcharcode\((?:\s{0,2}(?:0x)?\w{1,4}\s{0,2},){5}|chr\(\s{0,2}\d{1,3}\s{0,2}\)(?:\s{0,2}(?:\.|\+|\|\||,|&)\s{0,2}chr\(\s{0,2}\d{1,3}\s{0,2}\)){3}|(?<![a-z])char\((?:\s{0,2}\d{1,3}\s{0,2},){4}/,
  }),
  hidden('hex-string', { places: TARGET | BODY, words: ['0x'], shape: /(?<=[=(,\s])0x(?:[2-7][0-9a-f]){16}/ }),
  hidden('nested-lookup', { places: WEB | NAME | MAIL | SERVICE, words: ['${${', '${::-', '${lower:', '${upper:'] }),
  hidden('evaluated-text', {
    places: WEB | OPAQUE | LINE,
    words: ['eval(', 'exec(', 'assert('],
    shape:
      /(?:eval|exec|assert)\(\s?(?:gz(?:inflate|uncompress)|base64_decode|str_rot13|atob|unescape|string\.fromcharcode|decodeuricomponent|compile|__import__|strrev|hex2bin|pack)\s?\(/,
  }),
  // The first bytes of programs and scripts, in base64.
  hidden('encoded-program', {
    places: WEB | SHELL | SERVICE | NAME,
    words: [
      'f0vmrg',
      'tvqqaa',
      'iyevymlu',
      'iyevdxny',
      'pd9waha',
      'l2jpbi9',
      'y3vybc',
      'd2dld',
      'sqbfafga',
      'jabjag',
      'cg93zxjzagvsb',
      'zxzhbch',
      'aw1wb3j0ig9z',
      'pcvaihbhz2u',
    ],
    shape:
      /f0VMRg[EI]B|TVqQAA|IyEvYmlu|IyEvdXNy|PD9waHA|L2Jpbi9(?:iYXNo|zaC|idXN5)|Y3VybC[At]|d2dldC[AB]|SQBFAFgA|JABjAG|cG93ZXJzaGVsb|ZXZhbCh|aW1wb3J0IG9z|PCVAIHBhZ2U/,
    exact: true,
  }),
];

/** Fewer bytes than this are random by chance. */
const FEWEST_BYTES = 512;
/** Who sends more than this backs up or uploads; an attack is short. */
const MOST_BYTES = 16_384;
/**
 * Bits a byte below what as many random bytes have on average. Measured: random bytes stay within 0.19 of it (512 of them; longer ones closer), deflate and
 * brotli within 0.3 but for odd pieces, while text is 2.2 below and more, and machine code 1.7.
 */
const MARGIN_BITS = 0.3;
const FEWEST_TOKEN = 96;
/** Of a token in a shell's line: hexadecimal has 4 at most, English 4.2, base64 of a program 5.2 and more. */
const RANDOM_TOKEN_BITS = 4.8;

/** What files begin with that are random by right. */
const MAGIC = [
  '\x1f\x8b',
  '\x1f\x9d',
  'PK\x03\x04',
  '\x89PNG',
  '\xff\xd8\xff',
  'GIF8',
  'RIFF',
  '%PDF',
  '(\xb5/\xfd',
  '\xfd7zXZ',
  'BZh',
  '7z\xbc\xaf',
  'Rar!',
  'OggS',
  'ID3',
  '\x1aE\xdf\xa3',
  'wOFF',
  'wOF2',
  '\0asm',
  '\x16\x03',
  '\x17\x03',
  '\x04"M\x18',
  'fLaC',
  '\xff\xfb',
  '\xff\xf3',
  '\x78\x9c',
  '\x78\x01',
  '\x78\xda',
  '\0\0\0',
  'SSH-',
  '\x13BitTorrent',
] as const;

/** A short body whose bytes look random and that is no picture, archive or the like: encrypted or packed. */
export function randomBody(content: string, bytes: number): Finding | undefined {
  if (content.length < FEWEST_BYTES || bytes > MOST_BYTES) return undefined;
  let high = 0;
  for (let at = 0; at < 64; at++) if (content.charCodeAt(at) >= 0x80) high++;
  if (high < 16 || MAGIC.some(magic => content.startsWith(magic)) || content.startsWith('ftyp', 4)) return undefined;
  if (entropyBits(content) < randomBits(content.length) - MARGIN_BITS) return undefined;
  return { rule: 'random-body', reason: 'obfuscated', kind: 'payload', quote: content.slice(0, LONGEST_QUOTE) };
}

/** A line to a shell that carries a long random token: a program or a key, piece by piece. */
export function randomToken(line: string): Finding | undefined {
  let from = -1;
  for (let at = 0; at <= line.length; at++) {
    const code = at < line.length ? line.charCodeAt(at) : 0x20;
    const inToken =
      (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x2b || code === 0x2f || code === 0x3d;
    if (inToken) {
      if (from < 0) from = at;
    } else {
      if (from >= 0 && at - from >= FEWEST_TOKEN) {
        const token = line.slice(from, at);
        if (entropyBits(token) >= RANDOM_TOKEN_BITS)
          return { rule: 'random-token', reason: 'obfuscated', kind: 'payload', quote: token.slice(0, LONGEST_QUOTE) };
      }
      from = -1;
    }
  }
  return undefined;
}

/** Shannon's, in bits a character. */
export function entropyBits(text: string): number {
  if (text.length === 0) return 0;
  const counts = new Uint32Array(256);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at) & 0xff;
    counts[code] = (counts[code] as number) + 1;
  }
  let sum = 0;
  for (const count of counts) if (count > 0) sum += count * Math.log2(count);
  return Math.log2(text.length) - sum / text.length;
}

/** What `length` random bytes have on average (Miller and Madow's correction of 8). */
const randomBits = (length: number): number => 8 - 255 / (2 * length * Math.LN2);
