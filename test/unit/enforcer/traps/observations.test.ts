import { expect, test } from 'vitest';
import { LARGEST_BATCH, type TrapMessage, type TrapObservation } from '#enforcer/traps/messages.ts';
import { createObservationQueue } from '#enforcer/traps/server/observations.ts';
import { endedOf, receiptOf, SOURCE, touchOf } from '#test/support/trap-receipts.ts';

const content = (source: string): TrapObservation => ({
  kind: 'content',
  at: touchOf(source).at,
  source: touchOf(source).source,
  port: 80,
  protocol: 'http',
  findings: [{ rule: 'log4shell', reason: 'exploit', kind: 'exploit', quote: '' }],
});
const datagram = (parts: object = {}): TrapObservation => ({
  kind: 'datagram',
  at: touchOf(SOURCE).at,
  source: SOURCE,
  port: 161,
  protocol: 'snmp',
  findings: [],
  head: 'AAAA',
  receivedBytes: 40,
  answered: false,
  count: 1,
  ...parts,
});

/** A clock and a channel that do what they are told. */
function rig() {
  let nowMs = 1_000;
  const tasks: { atMs: number; task: () => void }[] = [];
  const sent: Extract<TrapMessage, { kind: 'observations' }>[] = [];
  const arrivals: (() => void)[] = [];
  const queue = createObservationQueue({
    send(message, done) {
      if (message.kind === 'observations') sent.push(message);
      arrivals.push(done);
    },
    nowMs: () => nowMs,
    later: (task, ms) => void tasks.push({ atMs: nowMs + ms, task }),
    sessions: () => 3,
  });
  return {
    queue,
    sent,
    arrive: () => arrivals.splice(0).forEach(done => void done()),
    pass(ms: number) {
      nowMs += ms;
      for (const { task } of tasks.splice(0).filter(({ atMs, task }) => atMs <= nowMs || void tasks.push({ atMs, task }))) task();
    },
  };
}

test('a touch leaves at once; those that follow leave together, two milliseconds later', () => {
  const { queue, sent, pass, arrive } = rig();
  queue.add(touchOf('192.0.2.1'));
  expect(sent).toEqual([{ kind: 'observations', observations: [touchOf('192.0.2.1')], sessions: 3, lost: 0 }]);
  arrive();
  queue.add(touchOf('192.0.2.2'));
  queue.settled();
  queue.add(touchOf('192.0.2.3'));
  queue.settled();
  expect(sent).toHaveLength(1);
  pass(2);
  expect(sent[1]?.observations).toEqual([touchOf('192.0.2.2'), touchOf('192.0.2.3')]);
  arrive();
  pass(10);
  queue.add(touchOf('192.0.2.4'));
  expect(sent).toHaveLength(3);
});

test('what was said in a trap leaves as urgently as a touch, the row of a session does not', () => {
  const { queue, sent, pass } = rig();
  queue.add(endedOf('192.0.2.9'));
  queue.settled();
  queue.add(content('192.0.2.1'));
  expect(sent).toHaveLength(2);
  queue.add(endedOf('192.0.2.1'));
  queue.settled();
  pass(2);
  expect(sent).toHaveLength(2);
  pass(8);
  expect(sent[2]?.observations).toEqual([endedOf('192.0.2.1')]);
});

test('a source that was told of within a second is in no hurry to be told of again', () => {
  const { queue, sent, pass } = rig();
  queue.add(touchOf('192.0.2.1'));
  pass(3);
  queue.settled();
  queue.add(touchOf('192.0.2.1', { port: 23 }));
  queue.add(touchOf('192.0.2.2'));
  queue.settled();
  expect(sent.slice(1).map(({ observations }) => observations.map(one => one.source))).toEqual([['192.0.2.2'], ['192.0.2.1']]);
  queue.add(touchOf('192.0.2.1', { port: 25 }));
  queue.settled();
  pass(2);
  expect(sent).toHaveLength(3);
  pass(8);
  expect(sent[3]?.observations).toEqual([touchOf('192.0.2.1', { port: 25 })]);
  pass(1_000);
  queue.add(touchOf('192.0.2.1', { port: 26 }));
  expect(sent).toHaveLength(5);
});

test('a touch does not wait for what was said just before, and stays told of while its source goes on', () => {
  const { queue, sent, pass, arrive } = rig();
  queue.add(content('192.0.2.9'));
  queue.add(touchOf('192.0.2.1'));
  expect(sent.map(({ observations }) => observations[0]?.kind)).toEqual(['content', 'touch']);
  for (let times = 0; times < 5; times++) {
    arrive();
    pass(700);
    queue.add(touchOf('192.0.2.1'));
    expect(sent).toHaveLength(2 + times);
    queue.settled();
  }
  pass(1_000);
  const before = sent.length;
  queue.add(touchOf('192.0.2.1'));
  expect(sent).toHaveLength(before + 1);
});

test('rows that are many do not wait, and leave in messages that hold up no touch for long', () => {
  const { queue, sent } = rig();
  for (let at = 0; at < 300; at++) queue.add(endedOf('192.0.2.1'));
  queue.settled();
  expect(sent.map(({ observations }) => observations.length)).toEqual([128, 128]);
});

test('touches of one source and port are one observation with a count', () => {
  const { queue, sent, pass } = rig();
  queue.add(touchOf('192.0.2.9')); // on the way
  for (let times = 0; times < 5; times++) queue.add(touchOf('192.0.2.1', { refused: times === 4 ? 1 : 0 }));
  queue.add(touchOf('192.0.2.1', { port: 23 }));
  queue.settled();
  pass(2);
  expect(sent[1]?.observations).toMatchObject([
    { port: 22, count: 5, refused: 1 },
    { port: 23, count: 1, refused: 0 },
  ]);
});

test('and so are datagrams', () => {
  const { queue, sent, pass } = rig();
  queue.add(datagram());
  queue.add(datagram({ answered: true, head: 'BBBB' }));
  queue.add(datagram({ port: 123, protocol: 'ntp' }));
  queue.settled();
  pass(10);
  expect(sent.flatMap(({ observations }) => observations)).toMatchObject([
    { port: 161, count: 2, receivedBytes: 80, answered: true, head: 'AAAA' },
    { port: 123, count: 1 },
  ]);
});

test('touches go before contents, and contents before rows', () => {
  const { queue, sent, pass } = rig();
  queue.add(touchOf('192.0.2.9')); // on the way
  queue.add(endedOf('192.0.2.1'));
  queue.add(content('192.0.2.1'));
  queue.add(touchOf('192.0.2.2'));
  pass(2);
  queue.settled();
  expect(sent.slice(1).map(({ observations }) => observations.map(one => one.kind))).toEqual([['touch', 'content'], ['ended']]);
});

test('long receipts leave a part at a time', () => {
  const { queue, sent, pass, arrive } = rig();
  const transcript = Array.from({ length: 64 }, () => ({ atMs: 1, kind: 'command' as const, text: 'id' }));
  for (let at = 0; at < 100; at++) queue.add(endedOf('192.0.2.1', { receipt: receiptOf({ transcript }) }));
  queue.settled();
  expect(sent[0]?.observations).toHaveLength(16);
  for (let turns = 0; turns < 10; turns++) {
    arrive();
    pass(10);
  }
  expect(sent.flatMap(({ observations }) => observations)).toHaveLength(100);
});

test('while the daemon does not read, what waits is bounded and what is lost is counted', () => {
  const { queue, sent, pass, arrive } = rig();
  const sources = 20_000;
  for (let at = 0; at < sources; at++) {
    queue.add(touchOf(`10.0.${at >> 8}.${at & 255}`));
    queue.add(endedOf(`10.0.${at >> 8}.${at & 255}`));
    if (at % 100 === 0) {
      queue.settled();
      pass(3);
    }
  }
  expect(sent.length).toBeLessThanOrEqual(8);
  for (let turns = 0; turns < 500; turns++) {
    arrive();
    queue.recorded(512);
    pass(3);
  }
  queue.add(touchOf('192.0.2.9'));
  queue.settled();
  const told = sent.reduce((sum, message) => sum + message.observations.length + message.lost, 0);
  expect(told).toBe(2 * sources + 1);
  expect(sent.every(message => message.observations.length <= LARGEST_BATCH)).toBe(true);
  expect(sent.reduce((sum, message) => sum + message.lost, 0)).toBeGreaterThan(0);
});

test('rows leave no faster than the log takes them; touches do not wait for that', () => {
  const { queue, sent, pass, arrive } = rig();
  const rows = (): number => sent.flatMap(({ observations }) => observations).filter(({ kind }) => kind === 'ended').length;
  const later = (): void => {
    for (let turns = 0; turns < 60; turns++) {
      arrive();
      pass(10);
    }
  };
  for (let at = 0; at < 12_000; at++) queue.add(endedOf('192.0.2.1'));
  queue.settled();
  later();
  expect(rows()).toBe(8_192);
  const before = sent.length;
  queue.add(touchOf('192.0.2.2'));
  expect(sent.slice(before)).toMatchObject([{ observations: [{ kind: 'touch' }] }]);
  queue.recorded(100);
  later();
  expect(rows()).toBe(8_292);
  for (let turns = 0; turns < 4; turns++) {
    queue.recorded(8_192);
    later();
  }
  expect(rows()).toBe(12_000);
  expect(sent.every(message => message.lost === 0)).toBe(true);
});

test('says that it is pressed from 1,024 rows that wait until there are fewer than 256', () => {
  const { queue, pass, arrive } = rig();
  for (let at = 0; at < 8_192 + 1_023; at++) queue.add(endedOf('192.0.2.1'));
  queue.settled();
  const recorded = (rows: number): boolean => {
    queue.recorded(rows);
    for (let turns = 0; turns < 60; turns++) {
      arrive();
      pass(10);
    }
    return queue.pressed();
  };
  expect(recorded(0)).toBe(false);
  queue.add(endedOf('192.0.2.1'));
  expect(queue.pressed()).toBe(true);
  expect(recorded(768)).toBe(true);
  expect(recorded(1)).toBe(false);
});

test('when the process ends all that waits leaves, the channel full or not', () => {
  const { queue, sent } = rig();
  for (let at = 0; at < 3_000; at++) queue.add(endedOf('192.0.2.1'));
  queue.flush();
  expect(sent.flatMap(({ observations }) => observations)).toHaveLength(3_000);
});
