import { MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { createAcquainted } from '#enforcer/mesh/thread/acquainted.ts';
import { meshPeer, meshView } from '#test/support/mesh-settings.ts';

const T0 = 1_795_521_600_000;
const at = (ms: number) => unixMs(T0 + ms);

test('who answered lately is a regular client, told every ten seconds; who is only spoken of, dead or silent is not', () => {
  const acquainted = createAcquainted();
  const view = meshView([
    meshPeer({ name: 'a', address: '198.51.100.2:7946', answeredAt: at(-SECOND_MS) }),
    meshPeer({ name: 'b', address: '[2001:db8::2]:7946', answeredAt: at(-SECOND_MS), signed: false }),
    meshPeer({ name: 'c', address: '198.51.100.3:7946', answeredAt: null }),
    meshPeer({ name: 'd', address: '198.51.100.4:7946', answeredAt: at(-2 * MINUTE_MS) }),
    meshPeer({ name: 'e', address: '198.51.100.5:7946', answeredAt: at(-SECOND_MS), state: 'dead' }),
  ]);
  expect(acquainted.due(view, [], at(0))).toEqual(['198.51.100.2', '2001:db8::2']);
  expect(acquainted.due(view, [], at(9 * SECOND_MS))).toEqual([]);
  expect(acquainted.due(view, [], at(10 * SECOND_MS))).toEqual(['198.51.100.2', '2001:db8::2']);
  expect(acquainted.due(view, [], at(2 * MINUTE_MS))).toEqual([]);
});

test('whom the operator named by its address is one before it answers, whom by a name is not', () => {
  const join = ['192.0.2.9:7946', '[2001:db8::9]:7946', 'peer.example:7946'];
  expect(createAcquainted().due(null, join, at(0))).toEqual(['192.0.2.9', '2001:db8::9']);
});

test('a clock that went back delays nobody', () => {
  const acquainted = createAcquainted();
  expect(acquainted.due(null, ['192.0.2.9'], at(MINUTE_MS))).toHaveLength(1);
  expect(acquainted.due(null, ['192.0.2.9'], at(0))).toHaveLength(1);
});
