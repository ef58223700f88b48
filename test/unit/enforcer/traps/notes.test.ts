import { fc, test } from '@fast-check/vitest';
import { LONGEST_DETAIL } from '@honeymesh/intel/events';
import { CONTENT_KINDS, type Finding } from '@honeymesh/intel/findings';
import { REASONS } from '@honeymesh/intel/reasons';
import { expect } from 'vitest';
import { readTrapMessage } from '#enforcer/traps/messages.ts';
import { jsonBytes, MOST_CREDENTIALS, MOST_LINES, type Receipt } from '#enforcer/traps/receipts.ts';
import { Notes } from '#enforcer/traps/server/notes.ts';
import { anyObservation, endedOf, hostileText } from '#test/support/trap-receipts.ts';

const FACTS = { head: Buffer.alloc(256, 0xff).toString('base64'), receivedBytes: 1e15, sentBytes: 1e15, durationMs: 1e15, end: 'too-much' } as const;

const anyFinding: fc.Arbitrary<Finding> = fc.record({
  rule: fc.stringMatching(/^[a-z0-9-]{1,48}$/),
  reason: fc.constantFrom(...REASONS.map(({ name }) => name)),
  kind: fc.constantFrom(...CONTENT_KINDS),
  quote: hostileText(200),
});

const anyTalk = fc.array(fc.tuple(anyObservation, fc.array(anyFinding, { maxLength: 6 }), fc.nat()), { maxLength: 200, size: 'max' });

function receiptOfAll(talk: readonly (readonly [Parameters<Notes['see']>[0], readonly Finding[], number])[]): Receipt {
  const notes = new Notes();
  for (const [observation, findings, atMs] of talk) {
    notes.see(observation, atMs);
    notes.judged(findings);
  }
  return notes.receipt(FACTS);
}

test.prop([anyTalk], { numRuns: 100 })('whatever is said, the receipt fits into an event, and the daemon takes it', talk => {
  const receipt = receiptOfAll(talk);
  expect(Buffer.byteLength(JSON.stringify({ trap: 'x'.repeat(32), ...receipt }))).toBeLessThanOrEqual(LONGEST_DETAIL);
  const message = { kind: 'observations', observations: [endedOf('192.0.2.1', { receipt })], sessions: 0, lost: 0 };
  expect(readTrapMessage(JSON.parse(JSON.stringify(message)))).toEqual({ ok: true, value: message });
});

test.prop([hostileText(600)])('a text takes no more bytes in JSON than is counted for it', text => {
  expect(Buffer.byteLength(JSON.stringify(text)) - 2).toBeLessThanOrEqual(jsonBytes(text));
});

test('a secret stands in one place, where it can be masked', () => {
  const notes = new Notes();
  notes.see({ kind: 'credentials', user: 'root', secret: 'hunter2' }, 5);
  notes.see(
    {
      kind: 'request',
      method: 'GET',
      target: '/',
      headers: [
        ['Authorization', 'Basic aHVudGVyMg=='],
        ['User-Agent', 'curl/8'],
      ],
    },
    9,
  );
  const receipt = notes.receipt(FACTS);
  expect(receipt.credentials).toEqual([{ user: 'root', secret: 'hunter2' }]);
  expect(receipt.fingerprints).toEqual([{ name: 'user-agent', value: 'curl/8' }]);
  expect(receipt.transcript).toEqual([
    { atMs: 5, kind: 'credentials', text: 'root' },
    { atMs: 9, kind: 'request', text: 'GET /' },
  ]);
});

test('what does not fit is counted', () => {
  const notes = new Notes();
  for (let at = 0; at < MOST_CREDENTIALS + 5; at++) notes.see({ kind: 'credentials', user: 'u', secret: `${at}` }, at);
  for (let at = 0; at < MOST_LINES; at++) notes.see({ kind: 'command', line: 'id' }, at);
  const receipt = notes.receipt(FACTS);
  expect(receipt.credentials).toHaveLength(MOST_CREDENTIALS);
  expect(receipt.transcript).toHaveLength(MOST_LINES);
  expect(receipt.omitted).toBe(5 + MOST_CREDENTIALS + 5);
});

test('talk at length leaves room for what detect finds at its end', () => {
  const notes = new Notes();
  for (let length = 400; length > 1; length--) notes.see({ kind: 'command', line: 'x'.repeat(length) }, length);
  const found: Finding = { rule: 'log4shell', reason: 'exploit', kind: 'exploit', quote: '\0'.repeat(200) };
  expect(notes.judged([found])).toEqual([found]);
  expect(notes.receipt(FACTS).findings).toEqual([found]);
});

test('a reason is fresh once in a session, a rule is written down once', () => {
  const notes = new Notes();
  const one: Finding = { rule: 'a', reason: 'command', kind: 'command', quote: 'x' };
  const other: Finding = { ...one, rule: 'b' };
  const third: Finding = { ...one, rule: 'c', reason: 'exploit' };
  expect(notes.judged([one])).toEqual([one]);
  expect(notes.judged([one, other])).toEqual([]);
  expect(notes.judged([other, third])).toEqual([third]);
  expect(notes.receipt(FACTS).findings).toEqual([one, other, third]);
});

test('what is no bytes becomes the bytes of its UTF-8', () => {
  const notes = new Notes();
  notes.see({ kind: 'command', line: 'caf\u00e9 \u20ac' }, 0);
  expect(notes.receipt(FACTS).transcript[0]?.text).toBe('caf\u00c3\u00a9 \u00e2\u0082\u00ac');
});
