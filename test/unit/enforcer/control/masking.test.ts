import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { maskOf, maskReport, maskRow } from '#enforcer/control/masking.ts';
import type { EventRow } from '#enforcer/control/operations.ts';
import { createWordFinder } from '#enforcer/control/words-in-text.ts';
import { eventRow, explainReport } from '#test/support/fake-operations.ts';

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const headOf = (row: EventRow): string => Buffer.from(String(row.detail?.head), 'base64').toString('latin1');

function session(secret: string, head: string, more: Readonly<Record<string, unknown>> = {}): EventRow {
  return eventRow(1, {
    kind: 'credentials',
    summary: `tried root:${secret} on the ssh trap on port 22`,
    detail: { trap: 'ssh', head: base64(head), end: 'deadline', credentials: [{ user: 'root', secret }], ...more },
  });
}

describe('a masked row', () => {
  test('says how long a secret was and which, but not what', () => {
    const row = maskRow(session('hunter2', 'USER root\r\nPASS hunter2\r\n', { transcript: [{ atMs: 3, kind: 'credentials', text: 'root:hunter2' }] }));
    expect(JSON.stringify(row)).not.toContain('hunter2');
    expect(row.summary).toBe('tried root:[7 characters, f52fbd32] on the ssh trap on port 22');
    expect(row.detail?.credentials).toEqual([{ user: 'root', secret: '[7 characters, f52fbd32]' }]);
    expect(row.detail?.transcript).toEqual([{ atMs: 3, kind: 'credentials', text: 'root:[7 characters, f52fbd32]' }]);
    expect(headOf(row)).toBe('USER root\r\nPASS [7 characters, f52fbd32]\r\n');
  });

  test.each([
    ['base64, as SMTP has it', `AUTH LOGIN\r\n${base64('root')}\r\n${base64('hunter2')}\r\n`, base64('hunter2')],
    ['a pair in base64, as HTTP Basic has it', `Authorization: Basic ${base64('root:hunter2')}\r\n`, base64('root:hunter2')],
    ['SASL PLAIN', `AUTH PLAIN ${base64('\0root\0hunter2')}\r\n`, base64('\0root\0hunter2')],
  ])('knows a secret in %s', (_, head, form) => {
    expect(headOf(maskRow(session('hunter2', head)))).not.toContain(form);
  });

  test('knows a secret percent-encoded, and one with control characters as the summary escapes it', () => {
    expect(headOf(maskRow(session('p&ss w', 'pwd=p%26ss+w&x=p%26ss%20w')))).toBe(`pwd=${maskOf('p&ss w')}&x=${maskOf('p&ss w')}`);
    const row = maskRow({ ...session('a\x1b[2J', 'x'), summary: 'tried root:a\\x1b[2J on it' });
    expect(row.summary).toBe(`tried root:${maskOf('a\x1b[2J')} on it`);
  });

  test('knows a secret that was cut where the text had its bound', () => {
    const secret = 'correct horse battery staple '.repeat(3);
    const line = 'USER root\r\n'.padEnd(231, '.');
    const row = maskRow({ ...session(secret, `${line}PASS ${secret.slice(0, 20)}`), summary: `tried root:${secret.slice(0, 40)}... on the ssh trap` });
    expect(headOf(row)).toBe(`${line}PASS ${maskOf(secret)}`);
    expect(row.summary).toBe(`tried root:${maskOf(secret)} on the ssh trap`);
  });

  test('leaves a user as it is who is no more than the beginning of a secret', () => {
    const row = maskRow(session('root123', 'x'));
    expect(row.detail?.credentials).toEqual([{ user: 'root', secret: maskOf('root123') }]);
  });

  test('knows the pair that a rule of default passwords quotes, where there are no credentials beside it', () => {
    const findings = [{ rule: 'default-credentials', reason: 'default-credentials', kind: 'credentials', quote: 'root:xc3511' }];
    const row = maskRow(eventRow(1, { summary: 'guessed a password at the trap: default-credentials (root:xc3511)', detail: { trap: 'telnet', findings } }));
    expect(JSON.stringify(row)).not.toContain('xc3511');
    expect(JSON.stringify(row)).toContain('root:[6 characters');
  });

  test('keeps what our own program says of it, whatever the secret is', () => {
    const row = maskRow(session('trap', 'x'));
    expect(row).toMatchObject({ origin: 'trap', kind: 'credentials', at: eventRow(1).at, source: '203.0.113.7', detail: { trap: 'ssh' } });
    expect(maskRow(session('', 'nothing'))).toEqual(session('', 'nothing'));
    const plain = eventRow(2);
    expect(maskRow(plain)).toBe(plain);
  });
});

test('a report masks a secret in every session of the source, and leaves its orders and addresses as they are', () => {
  const heard = session('203', 'PASS 203');
  const later = eventRow(2, { kind: 'payload', summary: 'said 3 bytes to the http trap: 203', detail: { trap: 'http', head: base64('203'), end: 'peer' } });
  const ban = eventRow(3, { kind: 'ban', summary: 'banned 203.0.113.7/32 for 4h' });
  const steps = [heard, later, ban].map(event => ({ at: event.at, what: event.summary }));
  const report = maskReport({ ...explainReport, lifts: '"honeymesh bans remove 203.0.113.7/32"', steps, events: [heard, later, ban] });
  expect(report.events[1]?.summary).toBe(`said 3 bytes to the http trap: ${maskOf('203')}`);
  expect(report.steps.map(step => step.what)).toEqual([
    `tried root:${maskOf('203')} on the ssh trap on port 22`,
    `said 3 bytes to the http trap: ${maskOf('203')}`,
    'banned 203.0.113.7/32 for 4h',
  ]);
  expect(report.lifts).toBe('"honeymesh bans remove 203.0.113.7/32"');
  expect(report.events[2]).toBe(ban);
});

const secretText = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)), minLength: 5, maxLength: 60 });

property.prop([secretText, fc.string(), fc.string()])('no secret is left in the first bytes, whatever stands around it', (secret, before, after) => {
  fc.pre(!/^[\dcharters ,[\]a-f]*$/.test(secret)); // such words are those of the mask itself
  const row = maskRow(session(secret, `${before}${secret}${after}`));
  expect(headOf(row)).not.toContain(secret);
});

const letters = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 6 });

property.prop([fc.array(letters, { minLength: 1, maxLength: 12 }), fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 60 })])(
  'words are found as a search for each of them finds them, and every character of each is covered',
  (words, text) => {
    const places = createWordFinder(new Map(words.map(word => [word, word])), 4).find(text, text.length);
    const covered = new Set<number>();
    for (const word of words)
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) for (let nth = 0; nth < word.length; nth++) covered.add(at + nth);
    // The beginning of a word at the end of the text is one that was cut.
    for (const word of words)
      for (let length = 4; length < word.length; length++)
        if (text.endsWith(word.slice(0, length))) for (let nth = 1; nth <= length; nth++) covered.add(text.length - nth);
    const found = places.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, nth) => from + nth));
    expect(found).toEqual([...covered].sort((one, other) => one - other));
    for (const { from, to, value } of places) expect(text.slice(from, to)).toContain(value.slice(0, 4));
  },
);

test('a source that guessed thousands of times is masked in a moment, also where all its guesses begin alike', () => {
  const sessions = Array.from({ length: 200 }, (_, nth) => {
    const credentials = Array.from({ length: 32 }, (_each, at) => ({ user: 'admin', secret: `admin${nth * 32 + at}x` }));
    const words = credentials.map(({ secret }) => `PASS ${secret}`).join('\r\n');
    const transcript = credentials.map(({ secret }, at) => ({ atMs: at, kind: 'credentials', text: `admin:${secret} ${'adm'.repeat(60)}` }));
    return { ...session('x', words.slice(0, 256)), detail: { trap: 'ftp', head: base64(words.slice(0, 256)), end: 'peer', credentials, transcript } };
  });
  const startedMs = performance.now();
  const masked = JSON.stringify(maskReport({ ...explainReport, events: sessions }).events);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  expect(masked).not.toMatch(/admin\d+x/);
});
