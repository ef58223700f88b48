import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { LedgerInput } from '#enforcer/ledger/decisions.ts';
import type { MeshHost, MeshWord } from '#enforcer/mesh/port.ts';
import type { FromMesh, ToMesh } from '#enforcer/mesh/thread/messages.ts';
import { createOutbox, NO_ROOM } from '#enforcer/mesh/thread/outbox.ts';
import { serveMesh } from '#enforcer/mesh/thread/serve.ts';
import { adviceOf, withdrawalOf } from '#test/support/advice.ts';
import { meshPeer, meshSettings, meshView } from '#test/support/mesh-settings.ts';

const limits = { advice: 10, others: 20, peers: 3, sent: 3, own: 4, batch: 4 };
const said = (sequence: number) => adviceOf('a1', '198.51.100.7/32', unixMs(0), { sequence });
const advice = (sequence: number): LedgerInput => ({ kind: 'advice', advice: said(sequence) });
const withdrawal = (sequence: number): LedgerInput => ({ kind: 'withdrawal', withdrawal: withdrawalOf(said(sequence), unixMs(0)) });
const inputsOf = (words: readonly MeshWord[] | null): readonly LedgerInput[] => (words ?? []).flatMap(word => (word.kind === 'heard' ? word.inputs : []));
const numberOf = (input: LedgerInput): number =>
  input.kind === 'advice' ? input.advice.sequence : input.kind === 'withdrawal' ? -input.withdrawal.sequence : 0;

describe('what waits for the daemon', () => {
  test('leaves in its order, so much at once', () => {
    const outbox = createOutbox(limits);
    outbox.say({ kind: 'heard', inputs: [advice(1), withdrawal(2), advice(3)] });
    outbox.say({ kind: 'heard', inputs: [advice(4), advice(5)] });
    expect(inputsOf(outbox.take()).map(numberOf)).toEqual([1, -2, 3, 4]);
    expect(inputsOf(outbox.take()).map(numberOf)).toEqual([5]);
    expect(outbox.take()).toBeNull();
  });

  test('is bounded: of a flood of advice the newest is refused and counted, and no withdrawal for it', () => {
    const outbox = createOutbox(limits);
    for (let at = 1; at <= 1_000; at++) outbox.say({ kind: 'heard', inputs: [advice(at)] });
    outbox.say({ kind: 'heard', inputs: [withdrawal(1)] });
    const words = [];
    for (let batch = outbox.take(); batch !== null; batch = outbox.take()) words.push(...batch);
    expect(inputsOf(words).map(numberOf)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1]);
    expect(words.find(word => word.kind === 'refused')).toEqual({ kind: 'refused', counts: { [NO_ROOM]: 990 }, sample: null });
  });

  test('has room again for what was taken', () => {
    const outbox = createOutbox(limits);
    for (let at = 1; at <= 100; at++) {
      outbox.say({ kind: 'heard', inputs: [advice(at)] });
      expect(inputsOf(outbox.take()).map(numberOf)).toEqual([at]);
    }
  });

  test('is one view, the last; one word on each complaint, the last; one row of refusals', () => {
    const outbox = createOutbox(limits);
    outbox.say({ kind: 'view', view: meshView([]) });
    outbox.say({ kind: 'complaint', key: 'udp', why: 'blocked', fix: 'open it' });
    outbox.say({ kind: 'complaint', key: 'disk', why: 'full', fix: 'make room' });
    outbox.say({ kind: 'refused', counts: { 'bad-signature': 2 }, sample: 'a' });
    outbox.say({ kind: 'recovered', key: 'udp' });
    outbox.say({ kind: 'refused', counts: { 'bad-signature': 1, unsigned: 5 }, sample: null });
    outbox.say({ kind: 'view', view: meshView([meshPeer()]) });
    expect(outbox.take()).toEqual([
      { kind: 'view', view: meshView([meshPeer()]) },
      { kind: 'complaint', key: 'disk', why: 'full', fix: 'make room' },
      { kind: 'recovered', key: 'udp' },
      { kind: 'refused', counts: { 'bad-signature': 3, unsigned: 5 }, sample: 'a' },
    ]);
    expect(outbox.take()).toBeNull();
  });
});

test('a member that floods waits for a daemon that is busy: two batches are under way, no more', async () => {
  const posted: FromMesh[] = [];
  let hear: (message: ToMesh) => void = () => {};
  let say: (word: MeshWord) => void = () => {};
  serveMesh(
    { postMessage: (message: unknown) => posted.push(message as FromMesh), on: ((_name: string, listener: typeof hear) => (hear = listener)) as never },
    (_settings, onWord) => {
      say = onWord;
      return Promise.resolve({ stop: () => Promise.resolve() } as Partial<MeshHost> as MeshHost);
    },
    () => {},
  );
  hear({ kind: 'start', settings: meshSettings() });
  for (let at = 0; at < 1_000; at++) say({ kind: 'heard', inputs: [advice(at)] });
  await new Promise(setImmediate);
  const batches = () => posted.filter(message => message.kind === 'words').length;
  expect(batches()).toBe(2);
  hear({ kind: 'took' });
  await new Promise(setImmediate);
  expect(batches()).toBe(3);
  for (let at = 0; at < 20; at++) hear({ kind: 'took' });
  const all = posted.flatMap(message => (message.kind === 'words' ? inputsOf(message.words) : []));
  expect(all.map(numberOf)).toEqual(Array.from({ length: 1_000 }, (_, at) => at));
});
