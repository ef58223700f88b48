import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { createDeadlines, NO_SLOT, SLOT_MS, type Timed } from '#enforcer/traps/server/deadlines.ts';

interface Item extends Timed {
  readonly name: number;
}

const item = (name: number): Item => ({ name, wakeAtMs: 0, slot: NO_SLOT, before: undefined, after: undefined });

function rig() {
  const due: [number, number][] = [];
  const wheel = createDeadlines<Item>(0, ({ name }, nowMs) => void due.push([name, nowMs]));
  return { wheel, due };
}

test('who is due is called once, when its time has come and not before', () => {
  const { wheel, due } = rig();
  wheel.set(item(1), 120);
  wheel.turn(119, 10);
  expect(due).toEqual([]);
  wheel.turn(160, 10);
  wheel.turn(1_000, 10);
  expect(due).toEqual([[1, 160]]);
});

test('a deadline may be put off, brought forward, and called off', () => {
  const { wheel, due } = rig();
  const [late, early, none] = [item(1), item(2), item(3)];
  for (const one of [late, early, none]) wheel.set(one, 1_000);
  wheel.set(late, 2_000);
  wheel.set(early, 300);
  wheel.clear(none);
  wheel.turn(500, 10);
  expect(due).toEqual([[2, 500]]);
  wheel.turn(1_500, 10);
  expect(due).toHaveLength(1);
  wheel.turn(2_100, 10);
  expect(due).toEqual([
    [2, 500],
    [1, 2_100],
  ]);
});

test('who is set again when it is due is looked at later, also where its time has passed', () => {
  const due: number[] = [];
  const wheel = createDeadlines<Item>(0, (one, nowMs) => {
    due.push(nowMs);
    if (due.length < 3) wheel.set(one, nowMs - 100);
  });
  wheel.set(item(1), 50);
  wheel.turn(100, 10);
  expect(due).toEqual([100]);
  wheel.turn(150, 10);
  wheel.turn(200, 10);
  wheel.turn(250, 10);
  expect(due).toEqual([100, 150, 200]);
});

test('where more are due than may be called the rest comes with the next turn', () => {
  const { wheel, due } = rig();
  for (let name = 0; name < 5; name++) wheel.set(item(name), 100);
  expect(wheel.turn(200, 2)).toBe(false);
  expect(due).toHaveLength(2);
  expect(wheel.turn(200, 2)).toBe(false);
  expect(wheel.turn(200, 2)).toBe(true);
  expect(new Set(due.map(([name]) => name)).size).toBe(5);
});

const anyStep = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), name: fc.nat(9), inMs: fc.nat(60_000) }),
  fc.record({ kind: fc.constant('clear' as const), name: fc.nat(9) }),
  fc.record({ kind: fc.constant('turn' as const), byMs: fc.nat(40_000) }),
);

test.prop([fc.array(anyStep, { maxLength: 60 })])('it calls whom a list of times would call', steps => {
  let nowMs = 0;
  const called: number[] = [];
  const wheel = createDeadlines<Item>(0, ({ name }) => void called.push(name));
  const items = Array.from({ length: 10 }, (_, name) => item(name));
  const times = new Map<number, number>();
  const turn = (byMs: number): void => {
    nowMs += byMs;
    called.length = 0;
    wheel.turn(nowMs, 1_000);
    for (const name of called) {
      expect(times.get(name)).toBeLessThanOrEqual(nowMs);
      times.delete(name);
    }
    for (const [, atMs] of times) expect(atMs).toBeGreaterThan(nowMs - SLOT_MS);
  };
  for (const step of steps) {
    if (step.kind === 'turn') turn(step.byMs);
    else if (step.kind === 'clear') {
      wheel.clear(items[step.name] as Item);
      times.delete(step.name);
    } else {
      wheel.set(items[step.name] as Item, nowMs + step.inMs);
      times.set(step.name, nowMs + step.inMs);
    }
  }
  turn(200_000);
  turn(SLOT_MS);
  expect(times.size).toBe(0);
});
