/** When the core is called, in which order and with which time. */
import { afterEach, describe, expect, test } from 'vitest';
import { createTurns, type Turns } from '#enforcer/mesh/node/turns.ts';
import type { Input } from '#enforcer/mesh/protocol/core/inputs.ts';
import type { Core } from '#enforcer/mesh/protocol/core/member.ts';

interface Call {
  readonly kind: Input['kind'];
  readonly atMs: number;
}

const running: Turns[] = [];
afterEach(() => {
  for (const turns of running.splice(0)) turns.stop();
});

/** A core that has something to do at `deadlineMs`, and nothing after its tick. */
function turnsOf(deadlineMs: number | null): { readonly turns: Turns; readonly calls: readonly Call[]; readonly ticked: Promise<void> } {
  const calls: Call[] = [];
  const ticked = Promise.withResolvers<void>();
  let next = deadlineMs;
  const core = {
    handle({ kind }: Input, atMs: number) {
      calls.push({ kind, atMs });
      if (kind === 'tick') {
        next = null;
        ticked.resolve();
      }
      return [];
    },
    nextDeadline: () => next,
  } as unknown as Core;
  const turns = createTurns(core, () => undefined);
  running.push(turns);
  return { turns, calls, ticked: ticked.promise };
}

const PACKET: Input = { kind: 'packet', from: { address: Uint8Array.of(127, 0, 0, 1), port: 1 }, messages: [] };
const busyUntil = (ms: number): void => {
  while (performance.now() < ms);
};

describe('turns', () => {
  test('what a late round finds in the sockets is told with a time before what is due', async () => {
    const deadlineMs = performance.now() + 5;
    const { turns, calls, ticked } = turnsOf(deadlineMs);
    busyUntil(deadlineMs + 2);
    turns.received(PACKET);
    turns.received(PACKET);
    await ticked;
    expect(calls.map(({ kind }) => kind)).toEqual(['packet', 'packet', 'tick']);
    expect(calls[1]?.atMs).toBeLessThan(deadlineMs);
    expect(calls[2]?.atMs).toBeGreaterThanOrEqual(deadlineMs);
  });

  test('all of one round has one time, the next round a later one', async () => {
    const { turns, calls } = turnsOf(null);
    turns.received(PACKET);
    busyUntil(performance.now() + 1);
    turns.received(PACKET);
    await new Promise(resolve => setImmediate(resolve));
    busyUntil(performance.now() + 1);
    turns.received(PACKET);
    expect(calls[1]?.atMs).toBe(calls[0]?.atMs);
    expect(calls[2]?.atMs).toBeGreaterThan(calls[1]?.atMs ?? Number.POSITIVE_INFINITY);
  });

  test('a flood puts off what is due, but not for ever', async () => {
    const { turns, calls, ticked } = turnsOf(performance.now());
    let over = false;
    function flood(): void {
      for (let count = 0; count < 40 && !over; count++) turns.received(PACKET);
      if (!over) setImmediate(flood);
    }
    flood();
    await ticked;
    over = true;
    const before = calls.findIndex(({ kind }) => kind === 'tick');
    expect(before).toBeGreaterThan(40);
    expect(before).toBeLessThan(40 * 32);
  });

  test('time alone is enough', async () => {
    const deadlineMs = performance.now() + 3;
    const { turns, calls, ticked } = turnsOf(deadlineMs);
    turns.now({ kind: 'start' });
    await ticked;
    expect(calls.map(({ kind }) => kind)).toEqual(['start', 'tick']);
    expect(calls[1]?.atMs).toBeGreaterThanOrEqual(deadlineMs);
  });

  test('nothing happens after the end', async () => {
    const { turns, calls } = turnsOf(performance.now());
    turns.now({ kind: 'start' });
    turns.stop();
    turns.received(PACKET);
    turns.now(PACKET);
    await new Promise(resolve => setTimeout(resolve, 5));
    expect(calls.map(({ kind }) => kind)).toEqual(['start']);
  });
});
