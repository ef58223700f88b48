import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { LARGEST_BATCH, readTrapMessage } from '#enforcer/traps/messages.ts';

const TOUCH = { kind: 'touch', at: 1, source: '192.0.2.1', port: 22, count: 1 };
const ENDED = { kind: 'ended', at: 1, source: '2001:db8::1', port: 22, protocol: 'ssh', head: 'AAA=', receivedBytes: 2, durationMs: 3, end: 'peer' };
const batch = (...observations: unknown[]) => ({ kind: 'observations', observations, sessions: 1, lost: 0 });

test('what the trap process says is taken as it was meant', () => {
  expect(readTrapMessage(batch(TOUCH, ENDED))).toEqual({ ok: true, value: batch(TOUCH, ENDED) });
  expect(readTrapMessage({ kind: 'listening', more: 1 })).toEqual({ ok: true, value: { kind: 'listening' } });
});

test.each([
  ['no source', { ...TOUCH, source: 'localhost' }],
  ['a port out of range', { ...TOUCH, port: 65536 }],
  ['a negative count', { ...TOUCH, count: -1 }],
  ['a head that is too long', { ...ENDED, head: 'A'.repeat(400) }],
  ['a head that is not base64', { ...ENDED, head: '<b>' }],
  ['an unknown end', { ...ENDED, end: 'whatever' }],
  ['a protocol with a line feed', { ...ENDED, protocol: 'ssh\n' }],
])('%s is refused: the trap process handles hostile bytes', (_, observation) => {
  expect(readTrapMessage(batch(observation)).ok).toBe(false);
});

test('a batch that is too large is refused before it is read', () => {
  expect(readTrapMessage(batch(...Array.from({ length: LARGEST_BATCH + 1 }, () => TOUCH)))).toEqual({ ok: false, why: 'too-many' });
});

test.prop([fc.anything()])('nothing makes the reader throw', message => {
  readTrapMessage(message);
  readTrapMessage(batch(message));
});
