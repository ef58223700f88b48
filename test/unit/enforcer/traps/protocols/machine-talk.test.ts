import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { bytesOf, firstLine } from '#enforcer/traps/protocols/lines.ts';
import { createMachine, MORE, type Talk } from '#enforcer/traps/protocols/machine-talk.ts';
import { command, MOST_OBSERVATIONS } from '#enforcer/traps/protocols/observation.ts';
import { PROTOCOLS } from '#enforcer/traps/protocols/registry.ts';
import { contextOf, LIMITS } from '#test/support/trap-talk.ts';

const echo: Talk = {
  protocol: 'echo',
  longestMessage: 100,
  greet: () => ({ used: 0, send: bytesOf('hello\n') }),
  next(waiting) {
    const line = firstLine(waiting);
    return line === undefined ? MORE : { used: line.used, send: bytesOf(`${line.text}\n`), observations: [command(line.text)] };
  },
};
const machine = (limits = LIMITS) => createMachine(echo, limits);
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('latin1');

describe('a talk', () => {
  test('answers all complete messages of a chunk at once and keeps the rest for later', () => {
    const it = machine();
    expect(text(it.open(0).send)).toBe('hello\n');
    expect(text(it.receive(bytesOf('a\r\nb\nc'), 1).send)).toBe('a\nb\n');
    expect(text(it.receive(bytesOf('d\n'), 2).send)).toBe('cd\n');
  });

  test('a byte each 2.9 s prolongs nothing: the deadline counts from the last complete message', () => {
    const it = machine();
    it.open(0);
    expect(it.receive(bytesOf('a'), 2_900)).toMatchObject({ wakeAtMs: 3_000, close: false });
    expect(it.expire(3_000)).toMatchObject({ close: true, observations: [{ kind: 'deadline' }] });
  });

  test('a complete message prolongs by the patience, up to the end of the session', () => {
    const it = machine({ ...LIMITS, sessionMs: 5_000 });
    it.open(0);
    expect(it.receive(bytesOf('a\n'), 2_900).wakeAtMs).toBe(5_000);
    expect(it.receive(bytesOf('a\n'), 4_999).wakeAtMs).toBe(5_000);
    expect(it.receive(bytesOf('a\n'), 5_000)).toMatchObject({ close: true, observations: [{ kind: 'deadline' }] });
  });

  test.each([
    ['bytes in', { receivedBytes: 5 }, 'abcdef'],
    ['bytes out', { sentBytes: 8 }, 'abcdefgh\n'],
    ['messages', { messages: 2 }, 'a\nb\nc\n'],
    ['an unfinished message', {}, 'a'.repeat(101)],
  ])('ends when there is too much of: %s', (_name, limits, sent) => {
    const it = machine({ ...LIMITS, ...limits });
    it.open(0);
    const outcome = it.receive(bytesOf(sent), 1);
    expect(outcome).toMatchObject({ close: true, wakeAtMs: 'never' });
    expect(outcome.observations.at(-1)?.kind).toBe('too-much');
    expect(it.receive(bytesOf('more\n'), 2)).toEqual({ observations: [], wakeAtMs: 'never', close: true });
  });

  test('never sends more than it may, and tells no more than it may', () => {
    const it = machine({ ...LIMITS, sentBytes: 10, messages: 100_000, receivedBytes: 1_000_000 });
    it.open(0);
    expect(text(it.receive(bytesOf('abcdefgh\n'), 1).send)).toBe('abcd');
    const other = machine({ ...LIMITS, messages: 100_000 });
    other.open(0);
    expect(other.receive(bytesOf('x\n'.repeat(1_000)), 1).observations).toHaveLength(MOST_OBSERVATIONS);
  });

  test.prop([
    fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r'), maxLength: 200 }),
    fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 30 }),
  ])('answers the same however the bytes were cut', (sent, sizes) => {
    const whole = machine();
    whole.open(0);
    const cut = machine();
    cut.open(0);
    const expected = whole.receive(bytesOf(sent), 1);
    let answer = '';
    let closed = false;
    for (let at = 0, turn = 0; at < sent.length && !closed; turn++) {
      const size = sizes[turn % sizes.length] ?? 1;
      const outcome = cut.receive(bytesOf(sent.slice(at, at + size)), 1);
      answer += text(outcome.send);
      closed = outcome.close;
      at += size;
    }
    if (!expected.close) expect(answer).toBe(text(expected.send));
  });
});

describe.each(PROTOCOLS.map(protocol => [protocol.name, protocol] as const))('%s', (_name, protocol) => {
  test('closes 3 s after it was opened when nothing complete comes, whatever bytes trickle in', () => {
    const it = protocol.create(contextOf(protocol.ports[0] ?? 1));
    it.open(0);
    const first = it.receive(Uint8Array.of(0x41), 2_900);
    if (!first.close) expect(first.wakeAtMs).toBe(3_000);
    expect(it.expire(3_000)).toMatchObject({ close: true });
    expect(it.receive(Uint8Array.of(0x41), 3_001)).toMatchObject({ close: true });
  });

  test('never listens beyond the end of its session', () => {
    const it = protocol.create(contextOf(protocol.ports[0] ?? 1, { limits: { ...LIMITS, sessionMs: 2_000 } }));
    expect(it.open(0).wakeAtMs).toBe(2_000);
    expect(it.receive(bytesOf('\r\n'), 2_001)).toMatchObject({ close: true });
  });
});
