import type { Address } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { LARGEST_BATCH, type TrapMessage, type TrapObservation } from '#enforcer/traps/messages.ts';
import { createObservationQueue } from '#enforcer/traps/server/observations.ts';

const touch = (source: string, port = 22): TrapObservation => ({ kind: 'touch', at: unixMs(1), source: source as Address, port, count: 1 });
const ended = (source: string): TrapObservation => ({
  kind: 'ended',
  at: unixMs(2),
  source: source as Address,
  port: 22,
  protocol: 'ssh',
  head: '',
  receivedBytes: 1,
  durationMs: 1,
  end: 'peer',
});

/** A loop that turns when it is told to, a channel that carries a message when it is told to. */
function rig() {
  const tasks: (() => void)[] = [];
  const sent: Extract<TrapMessage, { kind: 'observations' }>[] = [];
  const arrivals: (() => void)[] = [];
  const queue = createObservationQueue({
    send(message, done) {
      if (message.kind === 'observations') sent.push(message);
      arrivals.push(done);
    },
    soon: task => tasks.push(task),
    sessions: () => 3,
  });
  return { queue, sent, turn: () => tasks.splice(0).forEach(task => void task()), arrive: () => arrivals.splice(0).forEach(done => void done()) };
}

test('a touch leaves at once, those that come while it is on the way leave with the next turn of the loop', () => {
  const { queue, sent, turn, arrive } = rig();
  queue.add(touch('192.0.2.1'));
  expect(sent).toEqual([{ kind: 'observations', observations: [touch('192.0.2.1')], sessions: 3, lost: 0 }]);
  queue.add(touch('192.0.2.2'));
  queue.add(touch('192.0.2.3'));
  expect(sent).toHaveLength(1);
  turn();
  expect(sent[1]?.observations).toEqual([touch('192.0.2.2'), touch('192.0.2.3')]);
  arrive();
  queue.add(touch('192.0.2.4'));
  expect(sent).toHaveLength(3);
});

test('touches of one source and port are one observation with a count', () => {
  const { queue, sent, turn } = rig();
  queue.add(touch('192.0.2.9')); // on the way
  for (let times = 0; times < 5; times++) queue.add(touch('192.0.2.1'));
  queue.add(touch('192.0.2.1', 23));
  turn();
  expect(sent[1]?.observations).toMatchObject([
    { port: 22, count: 5 },
    { port: 23, count: 1 },
  ]);
});

test('touches go before ends: they are what bans', () => {
  const { queue, sent, turn } = rig();
  queue.add(ended('192.0.2.1'));
  queue.add(touch('192.0.2.2'));
  turn(); // what said more waits for the turn of the loop, and takes the touch along
  expect(sent[0]?.observations.map(one => one.kind)).toEqual(['touch', 'ended']);
});

test('while the daemon does not read, what waits is bounded and what is lost is counted', () => {
  const { queue, sent, turn, arrive } = rig();
  const sources = 20_000;
  for (let at = 0; at < sources; at++) {
    queue.add(touch(`10.0.${at >> 8}.${at & 255}`));
    if (at % 100 === 0) turn();
  }
  for (let turns = 0; turns < 500; turns++) {
    arrive();
    turn();
  }
  queue.add(touch('192.0.2.9'));
  turn();
  const told = sent.reduce((sum, message) => sum + message.observations.length + message.lost, 0);
  expect(told).toBe(sources + 1);
  expect(sent.every(message => message.observations.length <= LARGEST_BATCH)).toBe(true);
  expect(sent.reduce((sum, message) => sum + message.lost, 0)).toBeGreaterThan(0);
});
