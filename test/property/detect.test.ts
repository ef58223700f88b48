/** What holds for every verdict, whatever is said: bounded, repeatable, without a throw, and in time that grows with the text and not with its square. */

import { fc, test } from '@fast-check/vitest';
import { CONTENT_KINDS, LONGEST_QUOTE, LONGEST_RULE } from '@honeymesh/intel/findings';
import type { Observation } from '@honeymesh/intel/observations';
import { REASONS } from '@honeymesh/intel/reasons';
import { describe, expect } from 'vitest';
import { decodeBody, decodeShell, decodeTarget } from '#enforcer/detect/decoding.ts';
import { type About, isHostile, judgeObservation, MOST_OF_ONE, RULES } from '#enforcer/detect/judge.ts';
import { createMatcher } from '#enforcer/detect/matcher.ts';
import { probe, TARGET } from '#enforcer/detect/rules.ts';
import { attacks } from '#test/support/detect-corpus.ts';

const WORDS = RULES.flatMap(({ words }) => words);
const byte = fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code));
const noise = fc.array(byte, { maxLength: 200 }).map(bytes => bytes.join(''));
/** Words of rules among noise: what gets furthest into the shapes. */
const text = fc
  .array(fc.oneof(fc.constantFrom(...WORDS), noise, fc.constantFrom('%', '\u0024{', '../', "'", '\\x41', '%25', ' ', ';')), { maxLength: 40 })
  .map(parts => parts.join('').slice(0, 4096));

const about: fc.Arbitrary<About> = fc.record({
  protocol: fc.oneof(
    fc.constantFrom('http', 'https', 'redis', 'telnet', 'ssh', 'adb', 'ftp', 'smtp', 'snmp', 'sip', 'docker', 'unknown', 'redis-tls', 'tls', 'rdp'),
    fc.string({ maxLength: 12 }),
  ),
  port: fc.integer({ min: 1, max: 65_535 }),
  transport: fc.constantFrom('tcp', 'udp'),
});
const observation: fc.Arbitrary<Observation> = fc.oneof(
  fc.record({ kind: fc.constant('credentials' as const), user: text, secret: text }),
  fc.record({ kind: fc.constant('credentials' as const), user: text, secret: text, scheme: fc.constantFrom('digest', 'bearer', 'ident', 'ntlmv2') }),
  fc.record({ kind: fc.constant('command' as const), line: text }),
  fc.record({
    kind: fc.constant('request' as const),
    method: fc.oneof(fc.constantFrom('GET', 'POST', 'PUT'), noise),
    target: text,
    headers: fc.array(fc.tuple(fc.oneof(fc.constant('User-Agent'), noise), text), { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant('payload' as const),
    name: fc.constantFrom('body', 'mail', 'unknown', 'redis script'),
    content: fc.oneof(
      text,
      text.map(each => `GET /${each} HTTP/1.1\r\nA: b\r\n${each}`),
    ),
    bytes: fc.nat(),
  }),
  fc.record({ kind: fc.constant('fingerprint' as const), name: noise, value: text }),
  fc.record({ kind: fc.constant('malformed' as const), why: noise }),
);

describe('a verdict', () => {
  test.prop([observation, about], { numRuns: 3_000 })(
    'is a few findings that are short, of known names, reasons and kinds, the strongest first',
    (said, where) => {
      const findings = judgeObservation(said, where);
      expect(findings.length).toBeLessThanOrEqual(MOST_OF_ONE);
      expect(new Set(findings.map(({ rule }) => rule)).size).toBe(findings.length);
      for (const { rule, reason, kind, quote } of findings) {
        expect(rule).toMatch(/^[a-z0-9-]+$/);
        expect(rule.length).toBeLessThanOrEqual(LONGEST_RULE);
        expect(REASONS.some(({ name }) => name === reason)).toBe(true);
        expect(CONTENT_KINDS).toContain(kind);
        expect(quote.length).toBeLessThanOrEqual(LONGEST_QUOTE);
      }
      const strengths = findings.map(({ kind }) => CONTENT_KINDS.indexOf(kind));
      expect(strengths).toEqual([...strengths].sort((one, other) => one - other));
    },
  );

  test.prop([fc.array(fc.tuple(observation, about), { minLength: 1, maxLength: 8 })], { numRuns: 300 })('does not depend on what was judged before', all => {
    const once = all.map(([said, where]) => judgeObservation(said, where));
    const backwards = [...all].reverse().map(([said, where]) => judgeObservation(said, where));
    expect(backwards.reverse()).toEqual(once);
  });
});

describe('an attack', () => {
  const all = attacks().filter(({ reason }) => reason !== 'obfuscated');
  const targets = all.flatMap(attack =>
    attack.observation.kind === 'request' && attack.about.protocol === 'http' && attack.observation.headers.length === 1
      ? [{ attack, request: attack.observation }]
      : [],
  );
  const encoded = (target: string, layers: number): string => {
    const question = target.indexOf('?');
    if (question < 0) return target;
    let query = target.slice(question + 1);
    for (let layer = 0; layer < layers; layer++)
      query = query.replace(/[^A-Za-z0-9=&]/g, character => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
    return target.slice(0, question + 1) + query;
  };
  /** What one layer of decoding gives, a plus a space: an attacker encodes what the application is to see. */
  const meant = (target: string): string => decodeTarget(target).text;

  test.prop([fc.constantFrom(...targets), fc.integer({ min: 1, max: 2 }), fc.boolean()], { numRuns: 1_000 })(
    'in a query stays one when it is percent-encoded, once or twice, in any case of the digits',
    ({ attack, request }, layers, upper) => {
      const plain = judgeObservation({ ...request, target: meant(request.target) }, attack.about);
      if (!isHostile(plain)) return; // seen by its encoding: encoded anew it is another
      const target = encoded(meant(request.target), layers);
      const findings = judgeObservation({ ...request, target: upper ? target.replace(/%[0-9a-f]{2}/g, digits => digits.toUpperCase()) : target }, attack.about);
      expect(isHostile(findings)).toBe(true);
    },
  );

  test.prop([fc.constantFrom(...targets), fc.integer({ min: 1, max: 60 })], { numRuns: 500 })(
    'in a query stays one with a long everyday query behind it',
    ({ attack, request }, times) => {
      if (!request.target.includes('?') || request.target.endsWith('?-s')) return; // php-cgi's switch is all of the query
      const crowded = { ...request, target: `${request.target}${'&page=1&sort=name'.repeat(times)}`.slice(0, 2048) };
      expect(judgeObservation(crowded, attack.about).length).toBeGreaterThan(0);
    },
  );
});

describe('the matcher', () => {
  const word = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 }).map(letters => letters.join(''));

  test.prop([fc.uniqueArray(word, { minLength: 1, maxLength: 12 }), fc.array(fc.constantFrom('a', 'b', 'c', 'A', 'd'), { maxLength: 60 })], { numRuns: 2_000 })(
    'finds what a search for each word by itself finds, at the same place',
    (words, letters) => {
      const said = letters.join('');
      const matcher = createMatcher(words.map(each => probe(`w-${each}`, { places: TARGET, words: [each] })));
      const found = new Map(matcher.search(said, TARGET, 'http').map(({ rule, at }) => [rule.words[0], at]));
      for (const each of words) expect(found.get(each) ?? -1).toBe(said.toLowerCase().indexOf(each));
    },
  );
});

describe('decoding', () => {
  test.prop([text], { numRuns: 2_000 })('makes a text no longer than twice what it was, of bytes only', raw => {
    for (const decode of [decodeTarget, decodeBody, decodeShell]) {
      const decoded = decode(raw).text;
      expect(decoded.length).toBeLessThanOrEqual(2 * raw.length);
      for (let at = 0; at < decoded.length; at++) expect(decoded.charCodeAt(at)).toBeLessThanOrEqual(0xff);
    }
  });
});
