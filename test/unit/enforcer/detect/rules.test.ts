/** Properties that every rule has, the one that is added next year included. */
import { CONTENT_KINDS, LONGEST_RULE } from '@honeymesh/intel/findings';
import { describe, expect, test } from 'vitest';
import { RULES } from '#enforcer/detect/judge.ts';
import { ACT, ANYWHERE, HEADER_NAME } from '#enforcer/detect/rules.ts';

const LONGEST_REPEAT = 512;

/** The quantifiers of a regular expression: for each the most that it repeats. */
function repeatsOf(source: string): readonly number[] {
  const outside = source.replace(/\\./gs, 'x').replace(/\[[^\]]*\]/g, 'x');
  return [...outside.matchAll(/\*|\+|\{(\d*)(,?)(\d*)\}/g)].map(([all, least = '', comma, most = '']) => {
    if (all === '*' || all === '+' || (comma === ',' && most === '')) return Number.POSITIVE_INFINITY;
    return Number(most === '' ? least : most);
  });
}

test('the test knows an unbounded quantifier when it sees one', () => {
  for (const source of ['a*', 'a+?', '(?:a){3,}', '[^+]*']) expect(Math.max(...repeatsOf(source))).toBe(Number.POSITIVE_INFINITY);
  for (const source of ['a?', String.raw`\*\+`, '[*+]', 'a{0,7}', 'a{7}', String.raw`\{3,\}`]) expect(Math.max(0, ...repeatsOf(source))).toBeLessThanOrEqual(7);
});

describe.each(RULES.map((rule, index) => [`${rule.name} (${index})`, rule] as const))('%s', (_name, { name, reason, kind, places, words, shape }) => {
  test('has a name that lasts, words in lower case, and a shape that cannot run away', () => {
    expect(name).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/);
    expect(name.length).toBeLessThanOrEqual(LONGEST_RULE);
    expect(CONTENT_KINDS).toContain(kind);
    expect(places & ~(ANYWHERE | ACT | HEADER_NAME)).toBe(0);
    expect(places).not.toBe(0);
    expect(words.length).toBeGreaterThan(0);
    for (const word of words) {
      expect(word).toBe(word.toLowerCase());
      expect(word.length).toBeGreaterThanOrEqual(2);
    }
    if (shape === undefined && reason !== 'obfuscated')
      for (const word of words) expect(word.length, `"${word}" alone is no evidence`).toBeGreaterThanOrEqual(5);
    for (const most of repeatsOf(shape?.source ?? '')) expect(most).toBeLessThanOrEqual(LONGEST_REPEAT);
  });
});

test('a name has one reason and one kind', () => {
  const meanings = new Map<string, Set<string>>();
  for (const { name, reason, kind } of RULES) meanings.set(name, (meanings.get(name) ?? new Set()).add(`${reason} ${kind}`));
  expect([...meanings].filter(([, all]) => all.size > 1)).toEqual([]);
});
