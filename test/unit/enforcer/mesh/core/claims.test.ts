import { PLAUSIBLE_LEAD } from '@honeymesh/intel/incarnations';
import { describe, expect, test } from 'vitest';
import { MAX_INCARNATION } from '#enforcer/mesh/protocol/core/options.ts';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import {
  alive,
  allSent,
  bytes,
  dead,
  endpointOf,
  events,
  messagesTo,
  refusals,
  startMember,
  story,
  suspect,
  type TestMember,
  timings,
  VERSIONS,
} from '#test/support/mesh-member.ts';

/** What the member has to gossip now: it goes out on a gossip tick. */
const gossip = (member: TestMember): readonly Message[] => allSent(member.pass(250)).filter(({ kind }) => kind !== 'ping');
const gossiping = timings('gossipIntervalMs');

describe('an alive', () => {
  test('about somebody new makes a member and is passed on as it came', () => {
    const member = startMember(gossiping);
    const outputs = member.packet('n1', alive('n1', 1, { meta: bytes('meta') }));
    expect(story(outputs)).toEqual(['join n1']);
    expect(member.view('n1')).toMatchObject({ state: 'alive', incarnation: 1, ...endpointOf('n1'), meta: bytes('meta'), versions: VERSIONS });
    expect(gossip(member)).toContainEqual(alive('n1', 1, { meta: bytes('meta') }));
  });

  test('at incarnation 0 leaves a stub that is dead, and is no member', () => {
    const member = startMember(gossiping);
    expect(story(member.packet('n1', alive('n1', 0)))).toEqual([]);
    expect(member.state('n1')).toBe('dead 0');
    expect(story(member.packet('n1', alive('n1', 1)))).toEqual(['join n1']);
  });

  test('with a higher incarnation clears a suspect, with the same it does not', () => {
    const member = startMember(gossiping);
    member.packet('n1', alive('n1'), suspect('n1'));
    member.packet('n1', alive('n1'));
    expect(member.state('n1')).toBe('suspect 1');
    const outputs = member.packet('n1', alive('n1', 2));
    expect(story(outputs)).toEqual(['alive n1']);
    member.pass(60_000);
    expect(member.state('n1')).toBe('alive 2');
  });

  test('heard again changes nothing and is not passed on again', () => {
    const member = startMember(gossiping);
    member.packet('n1', alive('n1', 5));
    for (let round = 0; round < 20; round++) gossip(member);
    expect(member.packet('n1', alive('n1', 5))).toEqual([]);
    expect(gossip(member)).toEqual([]);
  });

  test('with other meta is an update', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    expect(story(member.packet('n1', alive('n1', 2, { meta: bytes('new') })))).toEqual(['update n1']);
    expect(member.view('n1')?.meta).toEqual(bytes('new'));
  });

  test('about ourselves that we never said is refuted with a higher incarnation, and costs health', () => {
    const member = startMember(gossiping);
    const outputs = member.packet('n1', alive('n0', 7, { meta: bytes('not mine') }));
    expect(events(outputs)).toEqual([{ kind: 'incarnation', incarnation: 8 }]);
    expect(member.state('n0')).toBe('alive 8');
    expect(member.core.stats().health).toBe(1);
    member.packet('n1', alive('n1'));
    expect(gossip(member)).toContainEqual(alive('n0', 8));
  });

  test('about ourselves that is our own echo is nothing', () => {
    const member = startMember();
    expect(member.packet('n1', alive('n0', 1))).toEqual([]);
  });

  test('for a name at another address is a conflict, and the first one stays', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    const outputs = member.packet('n2', alive('n1', 9, { address: endpointOf('n2').address }));
    expect(events(outputs)).toMatchObject([{ kind: 'conflict', member: { name: 'n1' }, other: endpointOf('n2') }]);
    expect(member.state('n1')).toBe('alive 1');
  });

  test('in the 16-byte form of a known 4-byte address is a conflict, too', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1);
    expect(story(member.packet('n1', alive('n1', 2, { address: mapped })))).toEqual(['conflict n1']);
  });

  test('takes over the name of one that left at once, of one that died only after the reclaim time', () => {
    const member = startMember({ deadNodeReclaimMs: 1000 });
    member.packet('n1', alive('n1', 5), alive('n2', 5), dead('n1', 5, 'n1'), dead('n2', 5));
    const elsewhere = { address: endpointOf('n3').address };
    expect(story(member.packet('n3', alive('n1', 1, elsewhere)))).toEqual(['join n1']);
    expect(story(member.packet('n3', alive('n2', 9, elsewhere)))).toEqual(['conflict n2']);
    member.pass(1001);
    expect(story(member.packet('n3', alive('n2', 1, elsewhere)))).toEqual(['join n2']);
  });

  test.each([
    ['impossible versions', { versions: Uint8Array.of(0, 5, 2, 0, 0, 0) }, 'impossible-versions'],
    ['turned versions', { versions: Uint8Array.of(4, 3, 2) }, 'impossible-versions'],
    ['no name', { node: '' }, 'bad-name'],
    ['a name longer than a datagram', { node: 'x'.repeat(1300) }, 'bad-name'],
    ['an address of 5 bytes', { address: new Uint8Array(5) }, 'bad-address'],
    ['more meta than there may be', { meta: new Uint8Array(513) }, 'meta-too-long'],
    ['an incarnation that others would wrap at', { incarnation: 2 ** 32 - 1 }, 'implausible-incarnation'],
  ])('with %s is refused and leaves nothing', (_, parts, why) => {
    const member = startMember();
    expect(refusals(member.packet('n1', { ...alive('n1'), ...parts }))).toEqual([why]);
    expect(member.core.stats().members).toBe(1);
  });

  test('without a port means ours, as in protocol 1', () => {
    const member = startMember({ advertise: { ...endpointOf('n0'), port: 8000 } });
    member.packet('n1', alive('n1', 1, { port: 0 }));
    expect(member.view('n1')?.port).toBe(8000);
  });

  test('beyond the room of the table is refused', () => {
    const member = startMember({ maxMembers: 2 });
    member.packet('n1', alive('n1'));
    expect(refusals(member.packet('n2', alive('n2')))).toEqual(['table-full']);
    expect(member.core.stats().members).toBe(2);
  });

  test('that the layer above refuses leaves nothing', () => {
    const member = startMember({}, { hooks: { admitAlive: ({ node }) => node !== 'n1' } });
    expect(refusals(member.packet('n1', alive('n1'), alive('n2')))).toEqual(['vetoed']);
    expect([member.state('n1'), member.state('n2')]).toEqual(['unknown', 'alive 1']);
  });

  test('that says nothing new is not shown to the layer above: a signature costs more than all else', () => {
    const asked: number[] = [];
    const member = startMember({}, { hooks: { admitAlive: ({ incarnation }) => asked.push(incarnation) > 0 } });
    member.packet('n1', alive('n1', 2), alive('n1', 2), alive('n1', 1), alive('n1', 3));
    expect(asked).toEqual([2, 3]);
  });

  test('that is older than a death does not revive, and its subject is told what to refute', () => {
    const member = startMember();
    member.packet('n1', alive('n1', 100), dead('n1', 100));
    expect(member.packet('n1', alive('n1', 1))).toEqual([]);
    member.pass(5000);
    const outputs = member.packet('n2', alive('n1', 1), alive('n1', 1));
    expect(member.state('n1')).toBe('dead 100');
    expect(messagesTo(outputs, 'n1')).toEqual([dead('n1', 100, 'n0')]);
  });
});

describe('a suspect', () => {
  test('about nobody we know is nothing', () => {
    const member = startMember();
    expect(member.packet('n1', suspect('n1'))).toEqual([]);
    expect(member.state('n1')).toBe('unknown');
  });

  test('makes its subject suspect, is passed on, and ends in its death where nobody says otherwise', () => {
    const member = startMember(gossiping);
    member.packet('n1', alive('n1'));
    expect(events(member.packet('n2', suspect('n1', 1, 'n2')))).toMatchObject([{ kind: 'suspect', member: { name: 'n1', state: 'suspect' }, by: 'n2' }]);
    expect(gossip(member)).toContainEqual(suspect('n1', 1, 'n2'));
    const outputs = member.pass(60_000);
    expect(story(outputs)).toEqual(['leave n1']);
    expect(allSent(outputs)).toContainEqual(dead('n1', 1, 'n0'));
    expect(member.state('n1')).toBe('dead 1');
  });

  test('of a second accuser is passed on and shortens the time, of the same one not', () => {
    const peers = Array.from({ length: 9 }, (_, at) => alive(`n${at + 1}`));
    const endOf = (...accusers: string[]) => {
      const member = startMember();
      member.packet('n2', ...peers);
      for (const from of accusers) member.packet('n2', suspect('n1', 1, from));
      return member.core.nextDeadline();
    };
    expect([endOf('n2'), endOf('n2', 'n2'), endOf('n2', 'n3'), endOf('n2', 'n3', 'n4')]).toEqual([24_000, 24_000, 11_381, 4000]);
  });

  test('of the same accuser again is not passed on', () => {
    const member = startMember(gossiping);
    member.packet('n2', ...Array.from({ length: 9 }, (_, at) => alive(`n${at + 1}`)), suspect('n1', 1, 'n2'));
    member.pass(5000);
    expect(member.core.stats().newsQueued).toBe(0);
    member.packet('n3', suspect('n1', 1, 'n2'));
    expect(member.core.stats().newsQueued).toBe(0);
    member.packet('n3', suspect('n1', 1, 'n3'));
    expect(member.core.stats().newsQueued).toBe(1);
  });

  test('with an older incarnation is nothing', () => {
    const member = startMember();
    member.packet('n1', alive('n1', 10));
    expect(member.packet('n2', suspect('n1', 1))).toEqual([]);
    expect(member.state('n1')).toBe('alive 10');
  });

  test('about ourselves is refuted above what it says, and costs health', () => {
    const member = startMember();
    member.packet('n1', suspect('n0', 1));
    expect(member.state('n0')).toBe('alive 2');
    member.packet('n1', suspect('n0', 50));
    expect(member.state('n0')).toBe('alive 51');
    expect(member.core.stats().health).toBe(2);
  });

  test('about a dead one at a higher incarnation keeps an older alive from reviving it', () => {
    const member = startMember();
    member.packet('n1', alive('n1', 1), dead('n1', 1), suspect('n1', 3));
    expect(member.state('n1')).toBe('dead 3');
    member.packet('n1', alive('n1', 2));
    expect(member.state('n1')).toBe('dead 3');
    expect(story(member.packet('n1', alive('n1', 4)))).toEqual(['join n1']);
  });

  test('far above what is known of its subject is not believed', () => {
    const member = startMember();
    member.packet('n1', alive('n1', 5));
    expect(refusals(member.packet('n2', suspect('n1', 5 + PLAUSIBLE_LEAD + 1)))).toEqual(['implausible-incarnation']);
    expect(member.state('n1')).toBe('alive 5');
    member.packet('n2', suspect('n1', 5 + PLAUSIBLE_LEAD));
    expect(member.state('n1')).toBe(`suspect ${5 + PLAUSIBLE_LEAD}`);
  });
});

describe('a dead', () => {
  test('about nobody we know is nothing', () => {
    expect(startMember().packet('n1', dead('n1'))).toEqual([]);
  });

  test('about a member is a leave that tells whether it died or left', () => {
    const member = startMember(gossiping);
    member.packet('n1', alive('n1'), alive('n2'), alive('n3'));
    const outputs = member.packet('n3', dead('n1', 1, 'n3'), dead('n2', 1, 'n2'));
    expect(events(outputs)).toMatchObject([
      { kind: 'leave', member: { name: 'n1', state: 'dead' } },
      { kind: 'leave', member: { name: 'n2', state: 'left' } },
    ]);
    const told = gossip(member);
    expect(told).toContainEqual(dead('n1', 1, 'n3'));
    expect(told).toContainEqual(dead('n2', 1, 'n2'));
  });

  test('twice is one leave, and an older one is none', () => {
    const member = startMember();
    member.packet('n1', alive('n1', 10));
    expect(story(member.packet('n2', dead('n1', 2)))).toEqual([]);
    expect(story(member.packet('n2', dead('n1', 10), dead('n1', 10)))).toEqual(['leave n1']);
  });

  test('is not undone by the alive that it answered', () => {
    const member = startMember();
    member.packet('n1', alive('n1', 10), dead('n1', 10), alive('n1', 10));
    expect(member.state('n1')).toBe('dead 10');
  });

  test('about ourselves is refuted', () => {
    const member = startMember(gossiping);
    member.packet('n1', alive('n1'), dead('n0', 1));
    expect(member.state('n0')).toBe('alive 2');
    expect(gossip(member)).toContainEqual(alive('n0', 2));
  });

  test('of a dead one at a higher incarnation counts, and is passed on', () => {
    const member = startMember(gossiping);
    member.packet('n1', alive('n1', 1), alive('n2'), dead('n1', 1));
    expect(story(member.packet('n2', dead('n1', 4)))).toEqual([]);
    expect(member.state('n1')).toBe('dead 4');
    expect(gossip(member)).toContainEqual(dead('n1', 4));
    member.packet('n1', alive('n1', 3));
    expect(member.state('n1')).toBe('dead 4');
  });

  test('that nobody could outbid is not believed, of others or of ourselves', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    const outputs = member.packet('n2', dead('n1', 2 ** 32 - 1), dead('n0', 2 ** 32 - 1), dead('n0', MAX_INCARNATION));
    expect(refusals(outputs)).toEqual(['implausible-incarnation', 'implausible-incarnation', 'implausible-incarnation']);
    expect([member.state('n0'), member.state('n1')]).toEqual(['alive 1', 'alive 1']);
  });

  test('drives our incarnation up to 2^31 - 1 and no further: it does not wrap', () => {
    const member = startMember();
    member.packet('n1', dead('n0', MAX_INCARNATION - 1));
    expect(member.state('n0')).toBe(`alive ${MAX_INCARNATION}`);
    expect(refusals(member.packet('n1', suspect('n0', MAX_INCARNATION)))).toEqual(['implausible-incarnation']);
    expect(member.state('n0')).toBe(`alive ${MAX_INCARNATION}`);
    expect(refusals(member.input({ kind: 'update-meta', meta: bytes('x') }))).toEqual(['incarnation-exhausted']);
  });

  test('said again and again, each time a little higher, shuts nobody out for good', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    for (let times = 0; times < 40_000; times++) {
      member.packet('n2', dead('n1', Math.min(MAX_INCARNATION, (member.view('n1')?.incarnation ?? 0) + PLAUSIBLE_LEAD)));
      member.nowMs++;
    }
    expect(member.view('n1')?.incarnation).toBeLessThan(MAX_INCARNATION);
    expect(story(member.packet('n1', alive('n1', MAX_INCARNATION)))).toEqual(['join n1']);
  });

  test('weighs as a suspicion only where the layer above says so, or nothing', () => {
    const member = startMember({}, { hooks: { admitAccusation: ({ from }) => (from === 'n9' ? 'as-suspect' : 'refuse') } });
    member.packet('n1', alive('n1'));
    expect(refusals(member.packet('n2', dead('n1', 1, 'n1')))).toEqual(['vetoed']);
    member.packet('n2', dead('n1', 1, 'n9'));
    expect(member.state('n1')).toBe('suspect 1');
  });
});
