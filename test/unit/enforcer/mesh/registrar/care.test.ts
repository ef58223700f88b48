import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Care, createCare } from '#enforcer/mesh/registrar/care.ts';
import type { NodeCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { NOON, real, trust } from '#test/support/hm1.ts';

const trusted = trust(real);
const certified = (at: number): NodeCertificate => trusted.host('anvil', 'home', unixMs(at)).certificate;

let now: number;
let certificate: NodeCertificate | null;
let registrar: string | null;
let answer: string | null;
let lonely: boolean;
let heard: { datagrams: number; refused: number } | null;
let drawn: number;
let renewals: number[];
let fetches: number[];
let complaint: { why: string; fix: string } | null;
let care: Care;

beforeEach(() => {
  [now, certificate, registrar, answer, lonely, heard, drawn, renewals, fetches, complaint] = [
    NOON,
    certified(NOON),
    '192.0.2.1:7947',
    null,
    false,
    null,
    0.5,
    [],
    [],
    null,
  ];
  care = createCare({
    certificate: () => certificate,
    registrar: () => registrar,
    async renew() {
      renewals.push(now);
      if (answer === null) certificate = certified(now);
      return answer;
    },
    async fetchKeys() {
      fetches.push(now);
      return answer;
    },
    isLonely: () => lonely,
    heard: () => heard,
    complain(why, fix) {
      complaint = { why, fix };
    },
    recovered() {
      complaint = null;
    },
    now: () => unixMs(now),
    draw: () => drawn,
  });
});

/** In steps, as the daemon's ticks would be; each thing that is under way ends between two of them. */
async function pass(ms: number, stepMs: number): Promise<void> {
  for (const until = now + ms; now < until; ) {
    now += stepMs;
    care.tick();
    await care.settled();
  }
}

describe('a certificate', () => {
  test('is renewed once, at two thirds of its life and a little', async () => {
    await pass(59 * DAY_MS, HOUR_MS);
    expect(renewals).toEqual([]);
    await pass(6 * DAY_MS, HOUR_MS);
    expect(renewals).toHaveLength(1);
    expect((renewals[0] ?? 0) - NOON).toBeGreaterThanOrEqual(60 * DAY_MS);
    expect((renewals[0] ?? 0) - NOON).toBeLessThanOrEqual(64 * DAY_MS);
    expect(complaint).toBeNull();
  });

  test('of hosts that joined together is not renewed by all of them at once', () => {
    const moments = [0, 0.25, 0.5, 0.75, 1].map(one => {
      drawn = one;
      certificate = certified(NOON + one * SECOND_MS * 10);
      care.tick();
      return care.renewsAt() ?? 0;
    });
    expect(new Set(moments.map(at => Math.round((at - NOON) / (12 * HOUR_MS)))).size).toBe(5);
  });

  test('is asked for again after a minute, then less and less often, an hour apart at the most', async () => {
    answer = 'nothing listens there';
    await pass(70 * DAY_MS, 10 * MINUTE_MS);
    const gaps = renewals.slice(1).map((at, index) => at - (renewals[index] ?? 0));
    expect(renewals.length).toBeGreaterThan(24);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1.25 * HOUR_MS + 10 * MINUTE_MS);
    expect(care.lastFailure()).toBe('nothing listens there');
  });

  test('whose renewal fails is complained of in the last quarter of its life, with the reason, and no more once it is renewed', async () => {
    answer = 'nothing listens there';
    await pass(67 * DAY_MS, HOUR_MS);
    expect(complaint).toBeNull();
    await pass(2 * DAY_MS, HOUR_MS);
    expect(complaint).toMatchObject({
      why: expect.stringMatching(/^this host's certificate ends at 2027-02-22T12:00:00.000Z and is not renewed \(192.0.2.1:7947: nothing listens there\)$/),
      fix: expect.stringContaining('honeymesh mesh join TOKEN'),
    });
    answer = null;
    await pass(2 * HOUR_MS, MINUTE_MS);
    expect(complaint).toBeNull();
  });

  test('that nobody is known to renew is complained of too', async () => {
    registrar = null;
    await pass(70 * DAY_MS, DAY_MS);
    expect(renewals).toEqual([]);
    expect(complaint?.why).toContain('no registrar is known to this host');
    certificate = null; // it left
    care.tick();
    expect(complaint).toBeNull();
  });
});

describe('keys that were slept through', () => {
  test('are fetched after some seconds alone, and not again for some minutes', async () => {
    lonely = true;
    await pass(4 * SECOND_MS, SECOND_MS);
    expect(fetches).toHaveLength(0);
    await pass(2 * SECOND_MS, SECOND_MS);
    expect(fetches).toHaveLength(1);
    await pass(3 * MINUTE_MS, SECOND_MS);
    expect(fetches).toHaveLength(1);
    await pass(5 * MINUTE_MS, SECOND_MS);
    expect(fetches).toHaveLength(2);
  });

  test('are not asked for by a host that was alone for a moment', async () => {
    for (let at = 0; at < 10; at++) {
      lonely = at % 2 === 0;
      await pass(3 * SECOND_MS, SECOND_MS);
    }
    expect(fetches).toEqual([]);
  });

  test('are fetched within seconds where hardly a datagram is understood', async () => {
    heard = { datagrams: 1_000, refused: 3 };
    await pass(20 * SECOND_MS, SECOND_MS);
    for (let at = 0; at < 12; at++) {
      heard = { datagrams: heard.datagrams + 2, refused: heard.refused + 2 };
      await pass(SECOND_MS, SECOND_MS);
    }
    expect(fetches).toHaveLength(1);
  });

  test('are not asked for because of some noise among what is understood', async () => {
    heard = { datagrams: 1_000, refused: 3 };
    for (let at = 0; at < 60; at++) {
      heard = { datagrams: heard.datagrams + 5, refused: heard.refused + 2 };
      await pass(SECOND_MS, SECOND_MS);
    }
    expect(fetches).toEqual([]);
  });

  test('are not asked for where there is nobody to ask', async () => {
    [lonely, registrar] = [true, null];
    await pass(MINUTE_MS, SECOND_MS);
    expect(fetches).toEqual([]);
  });
});
