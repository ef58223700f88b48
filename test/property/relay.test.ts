/** The talk with the hub over a connection that loses, doubles, turns round and breaks: nothing is lost, and there is no storm. */
import { fc, test } from '@fast-check/vitest';
import { encodeAdvisory, withSignature } from '@honeymesh/intel/hub-advisory';
import { type Answer, type Receipt, readQuestion, writeMessage, writeReceipt } from '@honeymesh/intel/hub-messages';
import { decodeReport } from '@honeymesh/intel/hub-report';
import { SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { expect } from 'vitest';
import type { OutboxEntry } from '#enforcer/relay/outbox.ts';
import { createSession, type Inbound, type Said, type Session } from '#enforcer/relay/session.ts';

const START = 1_800_000_000_000;
const EPOCH = 5;
/** So long the connection is bad; then it is to be seen that all of it comes. */
const BAD_MS = 45 * 60 * SECOND_MS;

/** As much of a hub as a host sees; it says something every 20 s. */
function hubOf(loses: () => boolean) {
  const had = new Set<number>();
  let number = 0;
  const advisory = (one: number): Uint8Array =>
    withSignature(
      encodeAdvisory({ kind: 'digest', overBudget: false, epoch: EPOCH, number: one, head: number, issuedAt: unixMs(START), certificates: [], envelopes: [] }),
      new Uint8Array([7]),
    );

  function receipt(): Receipt {
    let upTo = 0;
    while (had.has(upTo + 1)) upTo++;
    return {
      v: 1,
      at: START,
      epoch: 1,
      upTo,
      ranges: [...had]
        .filter(seq => seq > upTo)
        .sort((one, other) => one - other)
        .slice(0, 64)
        .map(seq => [seq, seq] as const),
      refused: [],
    };
  }

  return {
    advise: (): Uint8Array => advisory(++number),
    get number() {
      return number;
    },
    hear(where: string, payload: Uint8Array): readonly (readonly [Inbound, Uint8Array])[] {
      if (loses()) return [];
      if (where === 'report') {
        const read = decodeReport(payload);
        if (!read.ok) throw new Error(read.why);
        for (const { envelope } of read.value) had.add((envelope[0] ?? 0) + 256 * (envelope[1] ?? 0));
        return [['receipt', writeReceipt(receipt())]];
      }
      const read = readQuestion(payload);
      if (!read.ok) throw new Error(read.why);
      const { id, ask } = read.value;
      const said = (answer: Answer): readonly (readonly [Inbound, Uint8Array])[] => [['answer', writeMessage(answer)]];
      if (ask === 'introduce') return said({ v: 1, id, kind: 'introduced', at: START, votesFrom: 0 });
      if (ask === 'snapshot')
        return said({
          v: 1,
          id,
          kind: 'snapshot',
          advisory: withSignature(
            encodeAdvisory({
              kind: 'snapshot',
              overBudget: false,
              epoch: EPOCH,
              number: 0,
              head: number,
              issuedAt: unixMs(START),
              certificates: [],
              envelopes: [],
            }),
            new Uint8Array([7]),
          ),
        });
      if (ask !== 'range') throw new Error(ask);
      const { from, to: last } = read.value;
      const to = Math.min(last, from + 9, number);
      const advisories = Array.from({ length: to - from + 1 }, (_, at) => advisory(from + at));
      return said({ v: 1, id, kind: 'range', epoch: EPOCH, from, to, head: number, advisories });
    },
  };
}

test.prop([fc.integer(), fc.integer({ min: 0, max: 60 }), fc.array(fc.integer({ min: 30, max: 1_500 }), { maxLength: 6 })], { numRuns: 60 })(
  'whatever is lost, doubled, late or cut off: every envelope gets its receipt, every advisory comes once, and nobody is flooded',
  (seed, lossPercent, breaksAtS) => {
    let state = seed >>> 0;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const loses = (): boolean => now < START + BAD_MS && random() * 100 < lossPercent;
    let entries: OutboxEntry[] = [];
    let now = unixMs(START);
    const hub = hubOf(loses);
    let published = 0;
    const used: number[] = [];
    let inSnapshot = 0;
    const onTheWay: { readonly at: number; readonly topic: Inbound; readonly payload: Uint8Array }[] = [];
    const session: Session = createSession(
      { certificates: [new Uint8Array([1])] },
      {
        outbox: {
          oldest: most => entries.slice(0, most),
          since: (at, most) => entries.filter(({ issuedAt }) => issuedAt >= at).slice(-most),
          settle({ upTo, ranges }) {
            const before = entries.length;
            entries = entries.filter(({ seq }) => seq > upTo && !ranges.some(([from, to]) => seq >= from && seq <= to));
            return before - entries.length;
          },
          prune: () => 0,
          get waiting() {
            return entries.length;
          },
          head: () => null,
        },
        isHubs: ({ signature }) => signature[0] === 7,
        facts: () => ({ version: '1', mode: 'enforce', bans: 0, degraded: [] }),
        random,
      },
    );
    let online = true;

    function act(said: readonly Said[]): void {
      for (const one of said) {
        if (one.kind === 'advisory' && one.advisory.kind === 'snapshot') inSnapshot = Math.max(inSnapshot, one.advisory.head);
        else if (one.kind === 'advisory') used.push(one.advisory.number);
        if (one.kind !== 'publish' || one.to === 'heartbeat') continue;
        published++;
        if (online) for (const [topic, payload] of hub.hear(one.to, one.payload)) send(topic, payload);
      }
    }

    function send(topic: Inbound, payload: Uint8Array): void {
      const copies = loses() ? 0 : random() < 0.1 ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) onTheWay.push({ at: now + random() * 4 * SECOND_MS, topic, payload });
    }

    act(session.connected(now));
    const minutes = 60;
    for (let second = 1; second <= minutes * 60; second++) {
      now = unixMs(START + second * SECOND_MS);
      if (breaksAtS.includes(second)) {
        online = false;
        session.disconnected();
      } else if (!online && second % 40 === 0) {
        online = true;
        act(session.connected(now));
      }
      // Quiet in the end, so that all can be had.
      if (second < 1_800 && second % 15 === 0) {
        const seq = second / 15;
        entries.push({ epoch: 1, seq, previous: seq - 1, issuedAt: now, bytes: new Uint8Array([seq & 255, seq >> 8]) });
        act(session.added(now));
      }
      if (second % 20 === 0) {
        const advisory = hub.advise();
        if (online) send('advisory', advisory);
      }
      for (const message of onTheWay.splice(0)) {
        if (message.at > now) onTheWay.push(message);
        else if (online) act(session.message(message.topic, message.payload, now));
      }
      act(session.tick(now));
    }
    expect(entries).toEqual([]);
    expect(new Set(used).size).toBe(used.length);
    const head = session.figures().head?.number ?? 0;
    expect(head).toBeGreaterThan(hub.number - 3);
    for (let number = inSnapshot + 1; number <= head; number++) expect(used).toContain(number);
    expect(published).toBeLessThan(minutes * 30);
  },
);
