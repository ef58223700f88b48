import { fc, test } from '@fast-check/vitest';
import { type Advice, decodeIntel } from '@honeymesh/intel/advisories';
import { type Envelope, LONGEST_ENVELOPE_BYTES, openEnvelope } from '@honeymesh/intel/envelope';
import { DAY_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { misuseOf } from '#enforcer/mesh/signed/misuse.ts';
import { createSender, SENDER_LIMITS, type Sender, type SenderOptions, type Sent } from '#enforcer/mesh/signed/sender.ts';
import { advice, CLUSTER, keyedHash, NOON, prefix, trust } from '#test/support/hm1.ts';

const signatures = keyedHash();
const host = trust(signatures).host('db1');

function sender(more: Partial<SenderOptions> = {}): Sender {
  return createSender({ clusterId: CLUSTER, kid: host.certificate.kid, secret: host.edSecret, lastEpoch: 4, ...SENDER_LIMITS, ...more }, { signatures });
}

function started(more: Partial<SenderOptions> = {}): Sender {
  const one = sender(more);
  one.start();
  one.persisted(5, NOON);
  return one;
}

const envelopes = (all: readonly Sent[]): readonly Envelope[] =>
  all.flatMap(one => {
    const read = one.kind === 'say' ? openEnvelope(one.payload) : null;
    return read?.ok ? [read.value] : [];
  });
const intelOf = (envelope: Envelope | undefined) => {
  const read = decodeIntel(envelope?.body ?? new Uint8Array(0));
  if (!read.ok) throw new Error(read.why);
  return read.value;
};
const at = (ms: number): UnixMs => unixMs(NOON + ms);
const many = (count: number, more: Partial<Advice> = {}): Advice[] =>
  Array.from({ length: count }, (_, index) => advice(`198.18.${index >> 8}.${index & 255}/32`, more));

describe('a sender', () => {
  test('says nothing before its epoch is written down, and then all that waited', () => {
    const one = sender();
    expect(one.start()).toEqual([{ kind: 'persist-epoch', epoch: 5 }]);
    expect(one.advise(many(3), NOON)).toEqual([]);
    expect(one.nextDeadline()).toBe('never');
    const [envelope] = envelopes(one.persisted(5, at(10)));
    expect(envelope).toMatchObject({ kid: host.certificate.kid, epoch: 5, seq: 1, issuedAt: at(10), ttlS: 3_600 });
    expect(intelOf(envelope).advice).toHaveLength(3);
  });

  test('speaks at once, then once in 500 ms with all that came meanwhile', () => {
    const one = started();
    expect(envelopes(one.advise(many(1), NOON))).toHaveLength(1);
    expect(one.advise([advice('203.0.113.1/32')], at(100))).toEqual([]);
    expect(one.advise([advice('203.0.113.2/32')], at(400))).toEqual([]);
    expect(one.nextDeadline()).toBe(at(500));
    expect(one.due(at(499))).toEqual([]);
    const [envelope] = envelopes(one.due(at(500)));
    expect(intelOf(envelope).advice.map(({ target }) => target)).toEqual(['203.0.113.1/32', '203.0.113.2/32']);
    expect(one.nextDeadline()).toBe('never');
  });

  test('puts withdrawals before advice, and strong evidence before weak', () => {
    const one = started();
    one.advise([advice('203.0.113.1/32')], NOON);
    one.advise(many(300), at(1));
    one.advise([advice('203.0.113.9/32', { tier: 'E2', reasons: ['exploit'] })], at(2));
    one.withdraw([prefix('203.0.113.1/32')], false, at(3));
    const intel = intelOf(envelopes(one.due(at(500)))[0]);
    expect(intel.withdrawals).toEqual([{ epoch: 5, seq: 1, asError: false, targets: ['203.0.113.1/32'] }]);
    expect(intel.advice[0]).toMatchObject({ target: '203.0.113.9/32', tier: 'E2' });
    expect(intel.advice.length).toBeGreaterThan(80);
  });

  test('says of one target one thing: the strongest of what it heard', () => {
    const one = started();
    one.advise(many(1), NOON);
    one.advise([advice('203.0.113.1/32', { tier: 'E2', reasons: ['exploit'], ttlS: 60 })], at(1));
    one.advise([advice('203.0.113.1/32', { tier: 'E1', reasons: ['trap-touch'], ttlS: 7_200 })], at(2));
    expect(intelOf(envelopes(one.due(at(500)))[0]).advice).toEqual([advice('203.0.113.1/32', { tier: 'E2', reasons: ['trap-touch', 'exploit'], ttlS: 7_200 })]);
  });

  test('takes back every envelope that named the target, and what was not said yet is never said', () => {
    const one = started();
    const target = prefix('203.0.113.1/32');
    one.advise([advice(target)], NOON);
    one.advise([advice(target, { tier: 'E2' })], at(600));
    one.advise([advice('203.0.113.2/32')], at(1_200));
    one.advise([advice(target)], at(1_300));
    const [envelope] = envelopes([...one.withdraw([target, prefix('203.0.113.2/32')], false, at(1_400)), ...one.due(at(1_700))]);
    const intel = intelOf(envelope);
    expect(intel.advice).toEqual([]);
    expect(intel.withdrawals.map(({ seq, targets }) => [seq, targets])).toEqual([
      [1, [target]],
      [2, [target]],
      [3, ['203.0.113.2/32']],
    ]);
    // It lives as long as the last of what it takes back.
    expect(envelope?.ttlS).toBe(3_600);
    expect(one.withdraw([target], false, at(3_000))).toEqual([]);
  });

  test('takes back with a prefix all that it said of what lies in it, said or waiting, and nothing beside', () => {
    const one = started();
    one.advise([advice('198.51.100.7/32'), advice('198.51.101.1/32'), advice('198.51.100.0/25')], NOON);
    one.advise([advice('198.51.100.8/32'), advice('198.51.101.2/32')], at(10));
    one.withdraw([prefix('198.51.100.0/24')], true, at(20));
    const [last] = envelopes(one.due(at(500)));
    expect(intelOf(last).advice.map(({ target }) => target)).toEqual(['198.51.101.2/32']);
    expect(intelOf(last).withdrawals).toEqual([{ epoch: 5, seq: 1, asError: true, targets: ['198.51.100.7/32', '198.51.100.0/25'] }]);
  });

  test('takes back a whole envelope by its number while it holds', () => {
    const one = started();
    one.advise(many(2), NOON);
    expect(one.withdrawItem(5, 9, true, at(1))).toBe(false);
    one.withdrawItem(5, 1, true, at(2));
    expect(intelOf(envelopes(one.due(at(500)))[0]).withdrawals).toEqual([{ epoch: 5, seq: 1, asError: true, targets: [] }]);
    expect(one.withdrawItem(5, 1, true, at(600))).toBe(false);
  });

  test('can take back after a restart what came back from others', () => {
    const one = started();
    one.recall({ epoch: 4, seq: 17, issuedAt: at(-60_000) }, [advice('203.0.113.1/32')], NOON);
    const [envelope] = envelopes(one.withdraw([prefix('203.0.113.1/32')], false, at(1)));
    expect(intelOf(envelope).withdrawals).toEqual([{ epoch: 4, seq: 17, asError: false, targets: ['203.0.113.1/32'] }]);
    expect(envelope?.ttlS).toBe(3_540);
    one.recall({ epoch: 4, seq: 18, issuedAt: at(-2 * DAY_MS) }, [advice('203.0.113.2/32')], at(2));
    expect(one.withdraw([prefix('203.0.113.2/32')], false, at(600))).toEqual([]);
  });

  test('drops the weakest when more comes than can be said, and tells', () => {
    const one = started({ mostWaiting: 10 });
    one.advise(many(1), NOON);
    const told = one.advise([...many(10, { tier: 'E2' }), advice('203.0.113.1/32')], at(1));
    expect(told).toEqual([{ kind: 'dropped', advice: [advice('203.0.113.1/32')] }]);
    expect(intelOf(envelopes(one.due(at(500)))[0]).advice).toHaveLength(10);
  });

  test('begins a new epoch when its clock was set back, so that signed time never goes back within one', () => {
    const one = started();
    one.advise(many(1), NOON);
    expect(one.advise([advice('203.0.113.1/32')], at(-60_000))).toEqual([{ kind: 'persist-epoch', epoch: 6 }]);
    const [envelope] = envelopes(one.persisted(6, at(-59_000)));
    expect(envelope).toMatchObject({ epoch: 6, seq: 1, issuedAt: at(-59_000) });
  });

  test('does not let goodbyes, accusations and keys wait for intel', () => {
    const one = started();
    one.advise(many(1), NOON);
    const [leave] = envelopes(one.signal('leave', Uint8Array.of(0, 0, 0, 1), 60, at(10)));
    expect(leave).toMatchObject({ type: 'leave', seq: 2, issuedAt: at(10) });
    const keys = [0, 1, 2].map(() => envelopes(one.signal('rekey', new Uint8Array(100), 60, at(20))).length);
    expect(keys).toEqual([1, 0, 0]);
    expect(one.nextDeadline()).toBe(at(70));
  });

  test('refuses what cannot be said, before anything is queued', () => {
    expect(() => started().advise([advice('203.0.112.0/23')], NOON)).toThrow(RangeError);
    expect(() => sender({ longestBytes: 100 })).toThrow(RangeError);
  });

  const step = fc.oneof(
    fc.record({ op: fc.constant('advise' as const), count: fc.integer({ min: 20, max: 120 }), from: fc.nat(300) }),
    fc.record({ op: fc.constant('withdraw' as const), count: fc.integer({ min: 20, max: 120 }), from: fc.nat(300) }),
    fc.record({ op: fc.constant('leave' as const) }),
    fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 1_500 }) }),
    fc.record({ op: fc.constant('clock back' as const), ms: fc.integer({ min: 1, max: 100_000 }) }),
  );
  test.prop([fc.array(step, { maxLength: 60, size: 'max' }), fc.integer({ min: 300, max: LONGEST_ENVELOPE_BYTES })], { numRuns: 80 })(
    'never says what others may hold against it, never too much in one, and ends with having said what holds',
    (steps, longestBytes) => {
      const one = started({ longestBytes });
      let now: number = NOON;
      let epoch = 5;
      const said: Envelope[] = [];
      const wanted = new Set<string>();
      const all = many(500);
      const take = (outputs: readonly Sent[]): void => {
        for (const output of outputs) {
          if (output.kind === 'persist-epoch') {
            expect(output.epoch).toBe(++epoch);
            take(one.persisted(output.epoch, unixMs(now)));
          }
        }
        said.push(...envelopes(outputs));
      };
      for (const command of steps) {
        if (command.op === 'wait') now += command.ms;
        if (command.op === 'clock back') now -= command.ms;
        if (command.op === 'leave') take(one.signal('leave', new Uint8Array(4), 60, unixMs(now)));
        if (command.op !== 'advise' && command.op !== 'withdraw') continue;
        const some = all.slice(command.from, command.from + command.count);
        if (command.op === 'advise') for (const { target } of some) wanted.add(target);
        else for (const { target } of some) wanted.delete(target);
        take(
          command.op === 'advise'
            ? one.advise(some, unixMs(now))
            : one.withdraw(
                some.map(({ target }) => target),
                command.from % 2 === 0,
                unixMs(now),
              ),
        );
      }
      for (let turns = 0; one.nextDeadline() !== 'never' && turns < 500; turns++) {
        now = Math.max(now, Number(one.nextDeadline()));
        take(one.due(unixMs(now)));
      }
      expect(one.nextDeadline()).toBe('never');
      for (const envelope of said) expect(envelope.bytes.length).toBeLessThanOrEqual(longestBytes);
      for (const [index, later] of said.entries()) {
        for (const earlier of said.slice(Math.max(0, index - 8), index)) expect(misuseOf(earlier, later)).toBeNull();
      }
      expect(new Set(said.map(({ epoch: of, seq }) => `${of}/${seq}`)).size).toBe(said.length);
      // An oracle that hears everything in order: what it holds at the end is what was wanted.
      const holds = new Map<string, string>();
      const standing = new Set<string>();
      for (const envelope of said.filter(({ type }) => type === 'intel')) {
        const { advice: told, withdrawals } = intelOf(envelope);
        for (const back of withdrawals) for (const target of back.targets) standing.delete(`${back.epoch}/${back.seq} ${target}`);
        for (const { target } of told) standing.add(`${envelope.epoch}/${envelope.seq} ${target}`);
      }
      for (const item of standing) holds.set(item.split(' ')[1] ?? '', item);
      expect([...holds.keys()].sort()).toEqual([...wanted].sort());
    },
  );
});
