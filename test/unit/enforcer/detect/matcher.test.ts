/** The matcher: every word wherever it is, in one pass, shapes only where a word begins. */
import { describe, expect, test } from 'vitest';
import { createMatcher, MOST_TRIES } from '#enforcer/detect/matcher.ts';
import { BODY, exploit, HEADER, LINE, probe, TARGET } from '#enforcer/detect/rules.ts';

const found = (matcher: ReturnType<typeof createMatcher>, text: string, place = TARGET, protocol = 'http') =>
  matcher.search(text, place, protocol).map(({ rule, at }) => `${rule.name}@${at}`);

describe('words', () => {
  const matcher = createMatcher([
    probe('he', { places: TARGET, words: ['he'] }),
    probe('she', { places: TARGET, words: ['she'] }),
    probe('hers', { places: TARGET, words: ['hers', 'his'] }),
  ]);

  test('are found inside of each other, each with its own beginning', () => {
    expect(found(matcher, 'ushers')).toEqual(['she@1', 'he@2', 'hers@2']);
    expect(found(matcher, 'this')).toEqual(['hers@1']);
  });

  test('are found in any case, at both ends of the text', () => {
    expect(found(matcher, 'HE')).toEqual(['he@0']);
    expect(found(matcher, 'xxHiS')).toEqual(['hers@2']);
  });

  test('are found once, where they come first', () => {
    expect(found(matcher, 'he he he')).toEqual(['he@0']);
  });

  test('are not found where they are not, nor across a character that is in no word', () => {
    expect(found(matcher, '')).toEqual([]);
    expect(found(matcher, 'h-e h\u00e9 h\u2603e')).toEqual([]);
  });
});

describe('a rule', () => {
  test('speaks in its places and protocols only', () => {
    const matcher = createMatcher([exploit('a', { places: BODY | HEADER, words: ['word'], protocols: ['http', 'redis'] })]);
    expect(found(matcher, 'word', BODY)).toEqual(['a@0']);
    expect(found(matcher, 'word', TARGET)).toEqual([]);
    expect(found(matcher, 'word', HEADER | TARGET, 'redis')).toEqual(['a@0']);
    expect(found(matcher, 'word', BODY, 'ftp')).toEqual([]);
  });

  test('with a shape speaks where it fits, from the beginning of the word', () => {
    const matcher = createMatcher([exploit('a', { places: LINE, words: ['get '], shape: /(?<=^|;)get \d/ })]);
    expect(found(matcher, 'get x;get y;GET 7', LINE)).toEqual(['a@12']);
    expect(found(matcher, 'forget 7', LINE)).toEqual([]);
  });

  test('is tried so often and no more: what floods a text with beginnings costs no more than that', () => {
    const shape = /ab!/;
    const matcher = createMatcher([exploit('a', { places: LINE, words: ['ab'], shape })]);
    expect(found(matcher, `${'ab '.repeat(MOST_TRIES - 1)}ab!`, LINE)).toEqual([`a@${3 * (MOST_TRIES - 1)}`]);
    expect(found(matcher, `${'ab '.repeat(MOST_TRIES)}ab!`, LINE)).toEqual([]);
  });

  test('keeps the case of base64 where it must', () => {
    const matcher = createMatcher([exploit('a', { places: LINE, words: ['ro0ab'], shape: /rO0AB/, exact: true })]);
    expect(found(matcher, 'RO0AB ro0ab rO0ABx', LINE)).toEqual(['a@12']);
  });
});

test('a table that could never match is refused at once', () => {
  expect(() => createMatcher([probe('a', { places: TARGET, words: [''] })])).toThrow('no word');
  expect(() => createMatcher([probe('a', { places: TARGET, words: ['Upper'] })])).toThrow('no word');
  expect(() => createMatcher([probe('a', { places: TARGET, words: ['\u2603'] })])).toThrow('no byte');
});
