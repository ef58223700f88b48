import type { Prefix } from '@honeymesh/intel/address';
import { MINUTE_MS, unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import type { AdviceRecord, TargetRecord } from '#enforcer/ledger/advice/records.ts';
import { createSurroundings } from '#enforcer/mesh/thread/surroundings.ts';
import { meshPeer, meshView } from '#test/support/mesh-settings.ts';

const T0 = 1_795_521_600_000;
const at = (text: string): Prefix => text as Prefix;

function watched() {
  let nowMs = T0;
  const surroundings = createSurroundings({ now: () => unixMs(nowMs) });
  return {
    surroundings,
    pass: (ms: number) => (nowMs += ms),
    peer: (name: string, address: string, ms = nowMs) => meshPeer({ name, address, answeredAt: unixMs(ms) }),
  };
}

test('who answered within ten minutes is found by its address, and in every prefix that holds it', () => {
  const { surroundings, peer, pass } = watched();
  surroundings.see(meshView([peer('h2', '198.51.100.2:7946'), peer('h6', '[2001:db8::6]:7946')]));
  for (const [target, name] of [
    ['198.51.100.2/32', 'h2'],
    ['198.51.100.0/24', 'h2'],
    ['198.51.100.3/32', null],
    ['203.0.113.0/24', null],
    ['2001:db8::6/128', 'h6'],
    ['2001:db8::/64', 'h6'],
  ] as const)
    expect([target, surroundings.answered(at(target))]).toEqual([target, name]);
  pass(10 * MINUTE_MS);
  expect(surroundings.answered(at('198.51.100.2/32'))).toBeNull();
  expect(surroundings.answered(at('198.51.100.0/24'))).toBeNull();
});

test('who never answered is only somebody’s word', () => {
  const { surroundings } = watched();
  surroundings.see(meshView([meshPeer({ answeredAt: null })]));
  expect(surroundings.answered(at('198.51.100.2/32'))).toBeNull();
  expect(surroundings.membersIn(at('198.51.100.0/24')).map(peer => peer.name)).toEqual(['h2']);
});

test('a mesh that died a moment ago does not hand its members over, nor lower what a quorum is', () => {
  const { surroundings, peer, pass } = watched();
  surroundings.see(meshView([peer('h2', '198.51.100.2:7946')], { sites: 3, hosts: 9 }));
  expect([surroundings.sites, surroundings.hosts]).toEqual([3, 9]);
  pass(9 * MINUTE_MS);
  surroundings.see(null);
  expect([surroundings.sites, surroundings.hosts]).toEqual([3, 9]); // or two hosts of one site would be enough while it is down
  expect(surroundings.answered(at('198.51.100.2/32'))).toBe('h2');
  pass(MINUTE_MS);
  expect(surroundings.answered(at('198.51.100.2/32'))).toBeNull();
});

test('who left the mesh is alone', () => {
  const { surroundings, peer } = watched();
  surroundings.see(meshView([peer('h2', '198.51.100.2:7946')], { sites: 3, hosts: 9 }));
  surroundings.forget();
  expect([surroundings.sites, surroundings.hosts, surroundings.answered(at('198.51.100.0/24'))]).toEqual([1, 1, null]);
});

test('a site that spoke counts before the next view does: two hosts of it are one voice', () => {
  const { surroundings } = watched();
  surroundings.see(meshView([], { sites: 1, hosts: 1 }));
  surroundings.heardFrom('home'); // this host's own
  expect(surroundings.sites).toBe(1);
  surroundings.heardFrom('lab');
  expect(surroundings.sites).toBe(2);
  surroundings.see(meshView([], { sites: 1, hosts: 1 })); // its certificate was revoked
  expect(surroundings.sites).toBe(1);
});

test('until the mesh is seen, remembered votes are counted by their sites, so that a restart makes no quorum of two hosts of one', () => {
  const remembered = (...sites: (string | null)[]): readonly AdviceRecord[] => {
    const votes = sites.map((site, number) => ({ account: `a${number}`, site })) as unknown as TargetRecord['votes'];
    return [{ kind: 'target', target: at('203.0.113.9/32'), votes, counted: [], heldMs: 0, heldSince: null, heldUntil: unixMs(0) }];
  };
  const counts = (...sites: (string | null)[]) => {
    const { sites: counted, hosts } = createSurroundings({ now: () => unixMs(T0) }, { remembered: remembered(...sites) });
    return [counted, hosts];
  };
  expect(counts()).toEqual([1, 1]);
  expect(counts('lab', 'lab')).toEqual([1, 2]);
  expect(counts('lab', 'lab', 'shop', null)).toEqual([2, 3]);
});
