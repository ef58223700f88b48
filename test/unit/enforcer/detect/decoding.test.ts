/** What hides words, undone. */
import { describe, expect, test } from 'vitest';
import { decodeBody, decodeHeader, decodeShell, decodeTarget } from '#enforcer/detect/decoding.ts';

describe('a target', () => {
  test.each([
    ['/a%20b', '/a b', false],
    ['/a+b', '/a b', false],
    ['/%2e%2E/', '/../', false],
    ['/%252e%252e/', '/../', true],
    ['/%25252e/', '/./', true],
    ['/%2525252e/', '/%2e/', true],
    ['/%c0%ae%c0%af', '/./', true],
    ['/%c1%9c', '/\\', true],
    ['/caf%c3%a9', '/caf\u00c3\u00a9', false],
    ['/%u002e%u2215', '/.\u0015', true],
    ['/%uff0e', '/.', false],
    ['/100%', '/100%', false],
    ['/%', '/%', false],
    ['/%4', '/%4', false],
    ['/%zz%41', '/%zzA', false],
    ['/a/**/b', '/a  b', false],
    ['/*!50000UNION*/x', ' UNION x', false],
    ['/* open', '/* open', false],
  ])('%s is %s', (raw, text, layered) => {
    expect(decodeTarget(raw)).toEqual({ text, layered });
  });
});

describe('a look-up of Log4j', () => {
  const jndi = '\u0024{jndi:ldap://x/a}';

  test.each([
    '\u0024{\u0024{lower:j}ndi:ldap://x/a}',
    '\u0024{\u0024{::-j}\u0024{::-n}\u0024{::-d}\u0024{::-i}:ldap://x/a}',
    '\u0024{\u0024{env:NOTHING:-j}ndi\u0024{env:NOTHING:-:}ldap://x/a}',
    '\u0024{\u0024{lower:\u0024{lower:j}}ndi:ldap://x/a}',
    '\u0024{\u0024{date:j}ndi:ldap://x/a}',
  ])('%s is what it means', raw => {
    expect(decodeHeader(raw)).toEqual({ text: jndi, layered: true });
  });

  test('that is none, or is not closed, stays', () => {
    for (const raw of ['\u0024{amount}', '\u0024{a:b}', '\u0024{\u0024{lower:j', '}}\u0024{', '\u0024{jndi:ldap://a:-1/}'])
      expect(decodeHeader(raw).text).toBe(raw);
  });

  test('may nest as deep as it likes: it ends', () => {
    const deep = `${'\u0024{lower:'.repeat(2000)}j${'}'.repeat(2000)}`;
    expect(decodeHeader(deep).text.length).toBeLessThanOrEqual(deep.length);
  });
});

test.each([
  ['{"a":"\\u003cb\\u003e"}', '{"a":"<b>"}'],
  ['"\\x41\\101\\/\\"\\\\"', '"AA/"\\"'],
  ['"\\u20ac\\uff0e"', '"\u00ac."'],
  ['a\\q\\', 'a\\q\\'],
  ['C:\\new', 'C:\new'],
])('a body %j is %j', (raw, text) => {
  expect(decodeBody(raw).text).toBe(text);
});

test.each([
  ['w"g"et', 'wget', true],
  ["w'g'et x", 'wget x', true],
  ['w\\get', 'wget', true],
  ['cat\u0024{IFS}/x', 'cat /x', true],
  ['cat\u0024IFS\u00249/x', 'cat /x', true],
  ['wg\u0024@et', 'wget', true],
  ["echo -e '\\x77\\x67'", 'echo -e wg', true],
  ['plain text', 'plain text', false],
])('a line to a shell %j is %j', (raw, text, layered) => {
  expect(decodeShell(raw)).toEqual({ text, layered });
});
