/** What every Kernel must do, as sentences: run against the double without root, and against the real maps with it. */
import { type Address, hostPrefix, type Prefix } from '@honeymesh/intel/address';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { Kernel, KernelBan, KernelRule, KernelShun, TrackedPort } from '#enforcer/kernel/port.ts';
import { VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { TEST_CONFIG } from '#test/support/kernel-config.ts';

export const SMALL_ROOM = { ipv4: 100, ipv6: 50, ipv6Exact: 20, rules: 16, watched: 4 } as const;

/** A Kernel of SMALL_ROOM on a clock that the test moves, and what the packet path would have written into its maps. */
export interface BehaviourBench {
  readonly kernel: Kernel;
  now(): UnixMs;
  pass(ms: number): void;
  shun(shun: KernelShun): void;
  track(source: Address, ports: readonly TrackedPort[]): void;
  close(): void;
}

const prefix = (text: string): Prefix => text as Prefix;
const address = (text: string): Address => text as Address;

const ban = (target: string, more: Partial<KernelBan> = {}): KernelBan => ({
  target: prefix(target),
  tier: 'E1',
  reasons: ['trap-touch'],
  expiresAt: null,
  ...more,
});
const rule = (action: 'allow' | 'deny', target: string, more: Partial<KernelRule> = {}): KernelRule => ({
  action,
  target: prefix(target),
  tier: action === 'allow' ? 'operator' : 'E1',
  reasons: action === 'allow' ? [] : ['trap-touch'],
  expiresAt: null,
  ...more,
});

export function describeKernel(name: string, make: () => BehaviourBench): void {
  const bench = (body: (bench: BehaviourBench) => void | Promise<void>) => async (): Promise<void> => {
    const made = make();
    made.kernel.setConfig(TEST_CONFIG);
    try {
      await body(made);
    } finally {
      made.close();
    }
  };

  describe(`${name}: bans`, () => {
    test(
      'a ban reads back as it was written, its expiry to the millisecond',
      bench(({ kernel, now }) => {
        const expiresAt = unixMs(now() + 4 * 3_600_000 + 7);
        const bans = [
          ban('203.0.113.7/32', { expiresAt }),
          ban('2001:db8:1:2::/64', { tier: 'E2', reasons: ['exploit', 'command'], expiresAt }),
          ban('2001:db8:1:3::9/128', { tier: 'operator', reasons: ['order'] }),
        ];
        expect(kernel.putBans(bans)).toEqual(bans.map(({ target }) => ({ target, enforced: true })));
        const held = new Map(kernel.listBans().map(state => [state.target, state]));
        for (const { target, tier, reasons, expiresAt } of bans) expect(held.get(target)).toEqual({ target, tier, reasons, expiresAt, droppedPackets: 0 });
        expect(held.size).toBe(3);
      }),
    );

    test(
      'a ban put again replaces the first',
      bench(({ kernel, now }) => {
        kernel.putBans([ban('203.0.113.7/32')]);
        kernel.putBans([ban('203.0.113.7/32', { tier: 'E2', reasons: ['exploit'], expiresAt: unixMs(now() + 1_000) })]);
        expect(kernel.listBans()).toHaveLength(1);
        expect(kernel.listBans()[0]).toMatchObject({ tier: 'E2', reasons: ['exploit'], expiresAt: now() + 1_000 });
      }),
    );

    test(
      'a confined ban reads back as such, and as a full one once it is put again without',
      bench(({ kernel }) => {
        const targets = ['203.0.113.7/32', '2001:db8:1:2::/64', '2001:db8:1:3::9/128'];
        const confined = targets.map(target => ban(target, { confined: true }));
        expect(kernel.putBans(confined).every(outcome => outcome.enforced)).toBe(true);
        expect(kernel.listBans().map(state => state.confined)).toEqual([true, true, true]);
        expect(kernel.view(address('2001:db8:1:2::77')).ban).toMatchObject({ target: '2001:db8:1:2::/64', confined: true });
        kernel.putBans(targets.map(target => ban(target, { confined: false })));
        for (const state of kernel.listBans()) expect(state).not.toHaveProperty('confined');
      }),
    );

    test(
      'the same target twice in one call: the last one holds',
      bench(({ kernel }) => {
        const outcomes = kernel.putBans([ban('203.0.113.7/32'), ban('203.0.113.8/32'), ban('203.0.113.7/32', { tier: 'E2' })]);
        expect(outcomes.map(outcome => outcome.enforced)).toEqual([true, true, true]);
        expect(kernel.view(address('203.0.113.7')).ban?.tier).toBe('E2');
      }),
    );

    test(
      'a prefix that the ban maps cannot hold is refused, and stops nothing else',
      bench(({ kernel }) => {
        const outcomes = kernel.putBans([ban('203.0.113.0/24'), ban('203.0.113.9/32'), ban('2001:db8::/48')]);
        expect(outcomes).toEqual([
          { target: '203.0.113.0/24', enforced: false, why: 'refused' },
          { target: '203.0.113.9/32', enforced: true },
          { target: '2001:db8::/48', enforced: false, why: 'refused' },
        ]);
      }),
    );

    test(
      'a full map takes no new ban, keeps those it has, and still prolongs them',
      bench(({ kernel, now }) => {
        const many = Array.from({ length: SMALL_ROOM.ipv4 + 5 }, (_, at) => ban(`198.51.100.${at}/32`));
        const outcomes = kernel.putBans(many);
        expect(outcomes.filter(outcome => outcome.enforced)).toHaveLength(SMALL_ROOM.ipv4);
        expect(outcomes.filter(outcome => !outcome.enforced && outcome.why === 'full')).toHaveLength(5);
        expect(kernel.listBans()).toHaveLength(SMALL_ROOM.ipv4);
        const kept = kernel.listBans()[0]?.target ?? prefix('0.0.0.0/32');
        expect(kernel.putBans([ban(kept, { expiresAt: unixMs(now() + 5_000) })])).toEqual([{ target: kept, enforced: true }]);
        expect(kernel.putBans([ban('2001:db8::/64')])[0]?.enforced).toBe(true);
        kernel.removeBans([kept]);
        expect(kernel.putBans([ban('192.0.2.1/32')])[0]?.enforced).toBe(true);
      }),
    );

    test(
      'what is removed is gone, and removing what is not there is no error',
      bench(({ kernel }) => {
        kernel.putBans([ban('203.0.113.7/32'), ban('2001:db8:1:3::9/128')]);
        kernel.removeBans([prefix('203.0.113.7/32'), prefix('203.0.113.99/32'), prefix('10.0.0.0/8'), prefix('2001:db8:1:3::9/128')]);
        expect(kernel.listBans()).toEqual([]);
      }),
    );

    test(
      'the sweep takes out what expired and says what that was',
      bench(({ kernel, now, pass }) => {
        kernel.putBans([
          ban('203.0.113.7/32', { expiresAt: unixMs(now() + 1_000) }),
          ban('203.0.113.8/32', { expiresAt: unixMs(now() + 9_000) }),
          ban('203.0.113.9/32'),
        ]);
        expect(kernel.sweep(now())).toEqual([]);
        pass(1_500);
        expect(kernel.listBans()).toHaveLength(3);
        expect(kernel.view(address('203.0.113.7')).ban).toBeNull();
        expect(kernel.sweep(now())).toEqual(['203.0.113.7/32']);
        expect(kernel.listBans().map(state => state.target)).not.toContain('203.0.113.7/32');
        expect(kernel.listBans()).toHaveLength(2);
      }),
    );

    test(
      'an address is seen to be banned by its /64 and by its /128',
      bench(({ kernel }) => {
        kernel.putBans([ban('2001:db8:1:2::/64', { tier: 'E2' }), ban('2001:db8:1:3::9/128')]);
        expect(kernel.view(address('2001:db8:1:2::77')).ban?.target).toBe('2001:db8:1:2::/64');
        expect(kernel.view(address('2001:db8:1:3::9')).ban?.target).toBe('2001:db8:1:3::9/128');
        expect(kernel.view(address('2001:db8:1:3::8')).ban).toBeNull();
      }),
    );

    test(
      'it says how much room there is',
      bench(({ kernel }) => {
        expect(kernel.banCapacity()).toEqual({ ipv4: SMALL_ROOM.ipv4, ipv6: SMALL_ROOM.ipv6, ipv6Exact: SMALL_ROOM.ipv6Exact, rules: SMALL_ROOM.rules });
      }),
    );
  });

  describe(`${name}: rules`, () => {
    test(
      'a DENY under an ALLOW is stored as ALLOW, and says DENY again when the ALLOW is gone',
      bench(({ kernel }) => {
        const deny = rule('deny', '203.0.113.0/25');
        const outcomes = kernel.setRules([rule('allow', '203.0.113.0/24'), deny]);
        expect(outcomes.every(outcome => outcome.enforced)).toBe(true);
        expect(kernel.view(address('203.0.113.7')).rule).toMatchObject({ target: '203.0.113.0/25', action: 'allow' });
        kernel.setRules([deny]);
        expect(kernel.listRules()).toMatchObject([{ target: '203.0.113.0/25', action: 'deny' }]);
      }),
    );

    test(
      'an ALLOW that expires gives its place back to what it covered',
      bench(({ kernel, now, pass }) => {
        kernel.setRules([rule('allow', '203.0.113.0/24', { expiresAt: unixMs(now() + 1_000) }), rule('deny', '203.0.113.0/25')]);
        pass(2_000);
        expect(kernel.sweep(now())).toEqual([]);
        expect(kernel.view(address('203.0.113.7')).rule).toMatchObject({ action: 'deny', expiresAt: null });
        expect(kernel.listRules()).toHaveLength(1);
      }),
    );

    test(
      'a DENY that expires is swept and named',
      bench(({ kernel, now, pass }) => {
        kernel.setRules([rule('deny', '203.0.113.0/24', { expiresAt: unixMs(now() + 1_000) }), rule('deny', '2001:db8::/48')]);
        pass(2_000);
        expect(kernel.sweep(now())).toEqual(['203.0.113.0/24']);
        expect(kernel.listRules().map(state => state.target)).toEqual(['2001:db8::/48']);
      }),
    );

    test(
      'where there is no room for all, ALLOW comes before DENY and the rest is said to be full',
      bench(({ kernel }) => {
        const denies = Array.from({ length: SMALL_ROOM.rules }, (_, at) => rule('deny', `10.${at}.0.0/16`));
        expect(kernel.setRules(denies).every(outcome => outcome.enforced)).toBe(true);
        const outcomes = kernel.setRules([...denies, rule('allow', '198.51.100.0/24'), rule('allow', '2001:db8::/32')]);
        expect(outcomes.filter(outcome => !outcome.enforced)).toHaveLength(1);
        expect(outcomes.slice(-2).map(outcome => outcome.enforced)).toEqual([true, true]);
        expect(kernel.listRules()).toHaveLength(SMALL_ROOM.rules + 1);
      }),
    );

    test(
      'an empty set takes all rules off',
      bench(({ kernel }) => {
        kernel.setRules([rule('allow', '203.0.113.0/24'), rule('deny', '0.0.0.0/1'), rule('deny', '2001:db8::/32')]);
        expect(kernel.setRules([])).toEqual([]);
        expect(kernel.listRules()).toEqual([]);
        expect(kernel.view(address('203.0.113.7')).rule).toBeNull();
      }),
    );
  });

  describe(`${name}: what the kernel notes by itself`, () => {
    const shunOf = (target: string, expiresAt: number): KernelShun => ({
      target: prefix(target),
      reasons: ['syn-scan'],
      kinds: ['tcp'],
      expiresAt: unixMs(expiresAt),
      repeats: 1,
      droppedPackets: 12,
    });

    test(
      'shuns are listed while they last and can be taken off',
      bench(({ kernel, now, pass, shun }) => {
        const [one, other] = [shunOf('203.0.113.7/32', now() + 60_000), shunOf('2001:db8:1:2::/64', now() + 1_000)];
        shun(one);
        shun(other);
        expect(kernel.listShuns()).toHaveLength(2);
        expect(kernel.view(address('2001:db8:1:2::5')).shun).toEqual(other);
        pass(2_000);
        expect(kernel.listShuns()).toEqual([one]);
        expect(kernel.view(address('2001:db8:1:2::5')).shun).toBeNull();
        kernel.removeShuns([one.target]);
        expect(kernel.listShuns()).toEqual([]);
      }),
    );

    test(
      'a suspect can be watched once it has a tracker; the one seen longest ago makes room',
      bench(({ kernel, now, pass, track }) => {
        expect(kernel.watch(address('203.0.113.1'))).toBe(false);
        for (let at = 1; at <= SMALL_ROOM.watched + 1; at++) {
          track(address(`203.0.113.${at}`), [{ port: 22, probe: 'syn', at: now() }]);
          expect(kernel.watch(address(`203.0.113.${at}`))).toBe(true);
          pass(1_000);
        }
        expect(kernel.view(address('203.0.113.1')).watched).toBe(false);
        expect(kernel.view(address('203.0.113.2'))).toMatchObject({ watched: true, ports: [{ port: 22, probe: 'syn' }] });
        expect(kernel.watch(address('203.0.113.2'))).toBe(true);
      }),
    );

    test(
      'a watched suspect that was idle for the slow window is forgotten',
      bench(({ kernel, now, pass, track }) => {
        track(address('203.0.113.1'), [{ port: 22, probe: 'flag', at: now() }]);
        kernel.watch(address('203.0.113.1'));
        pass(TEST_CONFIG.slowWindowMs - 1_000);
        kernel.sweep(now());
        expect(kernel.view(address('203.0.113.1')).watched).toBe(true);
        pass(2_000);
        kernel.sweep(now());
        expect(kernel.view(address('203.0.113.1')).watched).toBe(false);
      }),
    );

    test(
      'the ports of a tracker come oldest first, with what each was probed by',
      bench(({ kernel, now, track }) => {
        const ports: TrackedPort[] = [
          { port: 65_535, probe: 'malformed', at: unixMs(now() - 10) },
          { port: 53, probe: 'udp', at: unixMs(now() - 5) },
          { port: 22, probe: 'syn', at: now() },
        ];
        track(address('2001:db8:1:2::5'), ports);
        expect(kernel.view(address('2001:db8:1:2::99')).ports).toEqual(ports);
      }),
    );

    test(
      'a proven source counts for as long as configured; IPv6 by its /64',
      bench(({ kernel, now, pass }) => {
        kernel.prove([address('203.0.113.1'), address('2001:db8:1:2::5')]);
        const at = now();
        expect(new Set(kernel.listProven().map(entry => entry.source))).toEqual(new Set(['203.0.113.1/32', '2001:db8:1:2::/64']));
        expect(kernel.view(address('2001:db8:1:2::99')).provenAt).toBe(at);
        pass(TEST_CONFIG.provenMs + 1_000);
        expect(kernel.listProven()).toEqual([]);
        expect(kernel.view(address('203.0.113.1')).provenAt).toBeNull();
      }),
    );

    test(
      'nothing is known of a source that did nothing',
      bench(({ kernel }) => {
        expect(kernel.view(address('192.0.2.1'))).toEqual({ ban: null, rule: null, shun: null, provenAt: null, watched: false, ports: [] });
      }),
    );
  });

  describe(`${name}: the rest`, () => {
    test(
      'statistics have a row for every verdict in every bank',
      bench(({ kernel }) => {
        const stats = kernel.stats();
        for (const bank of [stats.enforced, stats.would, stats.paused]) {
          expect(Object.keys(bank)).toEqual([...VERDICTS]);
          for (const verdict of VERDICTS.filter(name => name.startsWith('drop-'))) expect(bank[verdict]).toEqual({ packets: 0, bytes: 0 });
        }
        expect(stats.counters['events-lost']).toBe(0);
      }),
    );

    test(
      'events are not delivered after the signal',
      bench(async ({ kernel }) => {
        const stop = new AbortController();
        kernel.readEvents(() => expect.unreachable(), stop.signal);
        stop.abort();
        kernel.readEvents(() => expect.unreachable(), stop.signal);
        await new Promise(resolve => setTimeout(resolve, 5));
      }),
    );

    test(
      'ten thousand bans at once find their room or hear that there is none',
      bench(({ kernel }) => {
        const bans = Array.from({ length: 10_000 }, (_, at) => ban(hostPrefix(address(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`))));
        const outcomes = kernel.putBans(bans);
        expect(outcomes.map(outcome => outcome.target)).toEqual(bans.map(({ target }) => target));
        expect(outcomes.filter(outcome => outcome.enforced)).toHaveLength(SMALL_ROOM.ipv4);
      }),
    );
  });
}
