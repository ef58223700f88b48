/** Whatever a member is told, by whomever: it stands, stays within its bounds, and does not lose itself. */
import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { createAlarms } from '#enforcer/mesh/protocol/core/alarms.ts';
import { createBroadcastQueue } from '#enforcer/mesh/protocol/core/broadcast-queue.ts';
import type { Input } from '#enforcer/mesh/protocol/core/inputs.ts';
import { MAX_INCARNATION } from '#enforcer/mesh/protocol/core/options.ts';
import { remainingSuspicionMs } from '#enforcer/mesh/protocol/core/suspicion.ts';
import { MEMBER_STATES, type Message } from '#enforcer/mesh/protocol/messages.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { endpointOf, PROFILE_OF_LAN, sent, startMember } from '#test/support/mesh-member.ts';

const u32 = fc.oneof(fc.nat(5), fc.constantFrom(2 ** 16, 2 ** 31 - 2, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const name = fc.constantFrom('n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', '', 'x'.repeat(256));
const octets = (maxLength: number) => fc.uint8Array({ maxLength });
const address = fc.oneof(
  fc.constantFrom('n0', 'n1', 'n2', 'n3').map(peer => endpointOf(peer).address),
  octets(17),
);
const port = fc.constantFrom(0, 7946, 65_535);
const versions = fc.oneof(fc.constant(Uint8Array.of(1, 5, 2, 0, 0, 0)), octets(8));
const meta = fc.oneof(octets(20), fc.constant(new Uint8Array(513)));

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('alive' as const), incarnation: u32, node: name, address, port, meta, versions }),
  fc.record({ kind: fc.constant('suspect' as const), incarnation: u32, node: name, from: name }),
  fc.record({ kind: fc.constant('dead' as const), incarnation: u32, node: name, from: name }),
  fc.record({ kind: fc.constant('ping' as const), sequence: u32, node: name }),
  fc.record({ kind: fc.constant('indirect-ping' as const), sequence: u32, target: address, port, node: name, nack: fc.boolean() }),
  fc.record({ kind: fc.constant('ack' as const), sequence: u32, payload: fc.constant(null) }),
  fc.record({ kind: fc.constant('nack' as const), sequence: u32 }),
  fc.record({ kind: fc.constant('user' as const), payload: octets(50) }),
  fc.record({ kind: fc.constant('error' as const), text: fc.string({ maxLength: 10 }) }),
);
const pushed = fc.record({ name, address, port, meta, incarnation: u32, state: fc.constantFrom(...MEMBER_STATES), versions });
const pushPull = fc.record({ kind: fc.constant('push-pull' as const), join: fc.boolean(), members: fc.array(pushed, { maxLength: 5 }), userState: octets(5) });

const from = fc.constantFrom('n1', 'n2', 'n3').map(endpointOf);
const input: fc.Arbitrary<Input> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('packet' as const), from, messages: fc.array(message, { maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('stream-message' as const), id: fc.nat(9), from, message: pushPull }) },
  fc.record({ kind: fc.constant('stream-reply' as const), id: fc.nat(9), message: fc.oneof(pushPull, fc.constant(null)) }),
  fc.record({ kind: fc.constant('stream-failed' as const), id: fc.nat(9), why: fc.constantFrom('refused' as const, 'timeout' as const) }),
  fc.record({ kind: fc.constant('send-failed' as const), to: from }),
  fc.record({ kind: fc.constant('broadcast' as const), payload: octets(1500), push: fc.boolean() }),
  fc.record({ kind: fc.constant('update-meta' as const), meta }),
  fc.record({ kind: fc.constant('join' as const), id: fc.nat(9), targets: fc.array(from, { maxLength: 2 }) }),
);
const steps = fc.array(fc.tuple(fc.constantFrom(0, 1, 40, 700, 31_000), input), { maxLength: 40 });

describe('a member', () => {
  test.prop([steps], { numRuns: 300 })('stands whatever it is told, stays alive in its own eyes, and its incarnation only rises', happenings => {
    const member = startMember({ ...PROFILE_OF_LAN, maxMembers: 6 });
    let incarnation = 1;
    for (const [waitMs, happening] of happenings) {
      member.pass(waitMs);
      const outputs = member.input(happening);
      const self = member.core.self();
      expect(self.state).toBe('alive');
      expect(self.incarnation).toBeGreaterThanOrEqual(incarnation);
      expect(self.incarnation).toBeLessThanOrEqual(MAX_INCARNATION);
      incarnation = self.incarnation;
      const { members, newsQueued, userQueued, handoffQueued } = member.core.stats();
      expect(members).toBeLessThanOrEqual(6);
      expect(newsQueued).toBeLessThanOrEqual(6);
      expect(userQueued).toBeLessThanOrEqual(40);
      expect(handoffQueued).toBe(0);
      for (const { messages } of sent(outputs)) {
        expect(messages.length).toBeGreaterThan(0);
        expect(2 + messages.reduce((sum, one) => sum + 2 + encodeMessage(one).length, 0)).toBeLessThanOrEqual(1402);
      }
      // No deadline in the past: a driver would spin.
      const next = member.core.nextDeadline();
      expect(next === null || next > member.nowMs).toBe(true);
      for (const view of member.core.members()) expect(view.incarnation).toBeLessThanOrEqual(MAX_INCARNATION);
    }
  });

  test.prop([steps, fc.nat(2 ** 31)], { numRuns: 50 })('is the same member for the same seed and story', happenings => {
    const play = () => {
      const member = startMember(PROFILE_OF_LAN);
      for (const [waitMs, happening] of happenings) {
        member.pass(waitMs);
        member.input(happening);
      }
      return member.outputs;
    };
    expect(play()).toEqual(play());
  });
});

test.prop([fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 60 })), { maxLength: 40 }), fc.integer({ min: 1, max: 4 })])(
  'the broadcast queue draws what a slow one would: tier by tier the largest that fits',
  (items, transmits) => {
    const queue = createBroadcastQueue<number>();
    let model: { id: number; name: string | null; bytes: number; sent: number }[] = [];
    for (const [id, [named, bytes]] of items.entries()) {
      const name = named === 0 ? null : `${named}`;
      queue.add({ name, message: id, bytes });
      model = [...model.filter(item => name === null || item.name !== name), { id, name, bytes, sent: 0 }];
    }
    for (let draw = 0; draw < 8; draw++) {
      let free = 100;
      const expected: number[] = [];
      for (let tier = 0; tier < transmits; tier++) {
        for (;;) {
          const [best] = model
            .filter(item => item.sent === tier && !expected.includes(item.id) && item.bytes + 2 <= free)
            .sort((one, other) => other.bytes - one.bytes || other.id - one.id);
          if (best === undefined) break;
          free -= best.bytes + 2;
          expected.push(best.id);
        }
      }
      for (const item of model) if (expected.includes(item.id)) item.sent++;
      model = model.filter(item => item.sent < transmits);
      expect(queue.draw({ limitBytes: 100, overheadBytes: 2, items: 255, transmits }).messages).toEqual(expected);
      expect(queue.size).toBe(model.length);
      expect(queue.bytes).toBe(model.reduce((sum, item) => sum + item.bytes, 0));
    }
  },
);

test.prop([fc.array(fc.tuple(fc.nat(20), fc.nat(100), fc.boolean()), { maxLength: 200 })])(
  'alarms ring in order, each once, moved and cancelled ones not',
  happenings => {
    const alarms = createAlarms();
    const model = new Map<string, { atMs: number; order: number }>();
    const rung: string[] = [];
    for (const [order, [number, atMs, cancelled]] of happenings.entries()) {
      const name = `${number}`;
      if (cancelled) {
        alarms.cancel(name);
        model.delete(name);
      } else {
        alarms.set(name, atMs, () => rung.push(name));
        model.set(name, { atMs, order });
      }
      expect(alarms.nextMs()).toBe(model.size === 0 ? null : Math.min(...[...model.values()].map(alarm => alarm.atMs)));
    }
    alarms.run(1000);
    const expected = [...model].sort(([, one], [, other]) => one.atMs - other.atMs || one.order - other.order).map(([name]) => name);
    expect(rung).toEqual(expected);
  },
);

test.prop([fc.nat(5), fc.integer({ min: 1, max: 5 }), fc.nat(1000), fc.integer({ min: 500, max: 5000 }), fc.integer({ min: 1, max: 10 })])(
  'each confirmation shortens a suspicion, never below the least',
  (confirmations, wanted, elapsedMs, leastMs, times) => {
    const limits = { wanted, leastMs, mostMs: leastMs * times };
    const left = remainingSuspicionMs(confirmations, limits, elapsedMs);
    expect(remainingSuspicionMs(confirmations + 1, limits, elapsedMs)).toBeLessThanOrEqual(left);
    expect(left + elapsedMs).toBeGreaterThanOrEqual(leastMs);
    expect(left + elapsedMs).toBeLessThanOrEqual(limits.mostMs);
  },
);
