import { describe, expect, test } from 'vitest';
import { GREETINGS_FROM } from '#enforcer/mesh/protocol/core/acquaintance.ts';
import { TURN_MESSAGES } from '#enforcer/mesh/protocol/core/handoff.ts';
import { createMember } from '#enforcer/mesh/protocol/core/member.ts';
import { memberOptions } from '#enforcer/mesh/protocol/core/options.ts';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import {
  alive,
  allSent,
  bytes,
  dead,
  endpointOf,
  events,
  messagesTo,
  opened,
  pushed,
  pushPull,
  refusals,
  seeded,
  sent,
  startMember,
  story,
  suspect,
  timings,
} from '#test/support/mesh-member.ts';

describe('a member', () => {
  test('announces itself at its start with the incarnation that it is given', () => {
    const member = startMember({ incarnation: 7, meta: bytes('meta'), ...timings('gossipIntervalMs') });
    expect(events(member.outputs)).toMatchObject([
      { kind: 'incarnation', incarnation: 7 },
      { kind: 'join', member: { name: 'n0', state: 'alive' } },
    ]);
    member.packet('n1', alive('n1'));
    expect(allSent(member.pass(200))).toContainEqual(alive('n0', 7, { meta: bytes('meta') }));
  });

  test('does nothing before its start', () => {
    const core = createMember(memberOptions('lan', { name: 'n0', advertise: endpointOf('n0') }), {
      random: seeded(1),
      sizeOf: () => 10,
      envelopeBytes: () => 0,
    });
    expect(core.nextDeadline()).toBeNull();
    expect(core.handle({ kind: 'packet', from: endpointOf('n1'), messages: [alive('n1')] }, 0)).toMatchObject([{ kind: 'refused', why: 'not-running' }]);
  });

  test('signs its meta anew for each incarnation where the layer above does that', () => {
    const member = startMember({}, { hooks: { meta: (incarnation, meta) => bytes(`${String.fromCharCode(...meta)}#${incarnation}`) } });
    expect(member.view('n0')?.meta).toEqual(bytes('#1'));
    member.packet('n1', suspect('n0', 4));
    expect(member.view('n0')?.meta).toEqual(bytes('#5'));
    member.input({ kind: 'update-meta', meta: bytes('x') });
    expect(member.view('n0')?.meta).toEqual(bytes('x#6'));
    expect(member.packet('n1', alive('n0', 6, { meta: bytes('x#6') }))).toEqual([]);
  });

  test('gossips new meta under a new incarnation, and refuses too much of it', () => {
    const member = startMember(timings('gossipIntervalMs'));
    member.packet('n1', alive('n1'));
    member.input({ kind: 'update-meta', meta: bytes('new') });
    expect(allSent(member.pass(200))).toContainEqual(alive('n0', 2, { meta: bytes('new') }));
    expect(refusals(member.input({ kind: 'update-meta', meta: new Uint8Array(513) }))).toEqual(['meta-too-long']);
  });
});

describe('joining', () => {
  const join = (member: ReturnType<typeof startMember>, ...names: string[]) => member.input({ kind: 'join', id: 5, targets: names.map(endpointOf) });

  test('is a push/pull with every address, and counts those that answered', () => {
    const member = startMember();
    const streams = opened(join(member, 'n1', 'n2', 'n3'));
    expect(streams.map(({ to }) => to)).toEqual(['n1', 'n2', 'n3'].map(endpointOf));
    for (const { request } of streams) expect(request).toMatchObject({ kind: 'push-pull', join: true, members: [{ name: 'n0', state: 'alive' }] });
    const [first, second, third] = streams.map(({ id }) => id) as [number, number, number];
    member.input({ kind: 'stream-reply', id: first, message: pushPull([pushed('n1'), pushed('n4')], { join: true, userState: bytes('u') }) });
    member.input({ kind: 'stream-reply', id: second, message: { kind: 'error', text: 'no installed keys could decrypt the message' } });
    const outputs = member.input({ kind: 'stream-failed', id: third, why: 'refused' });
    expect(events(outputs)).toEqual([
      {
        kind: 'joined',
        id: 5,
        contacted: 1,
        failed: [
          { target: endpointOf('n2'), why: 'refused', text: 'no installed keys could decrypt the message' },
          { target: endpointOf('n3'), why: 'refused', text: '' },
        ],
      },
    ]);
    expect([member.state('n1'), member.state('n4')]).toEqual(['alive 1', 'alive 1']);
    expect(events(member.outputs)).toContainEqual(expect.objectContaining({ kind: 'merge', join: true, userState: bytes('u') }));
  });

  test('ends where nobody answers in time', () => {
    const member = startMember();
    join(member, 'n1');
    expect(events(member.pass(9999))).toEqual([]);
    expect(events(member.pass(1))).toMatchObject([{ kind: 'joined', contacted: 0, failed: [{ why: 'timeout' }] }]);
  });

  test.each([
    [2, 1, 'works'],
    [2, 3, 'works'],
    [3, 2, 'works'],
    [3, 1, 'works'],
    [6, 2, 'fails'],
  ])('one that speaks %d with one that speaks %d %s', (ours, theirs, how) => {
    const member = startMember({ versions: Uint8Array.of(1, Math.max(5, ours), ours, 0, 0, 0) });
    const [stream] = opened(join(member, 'n1'));
    const message = pushPull([pushed('n1', { versions: Uint8Array.of(1, 5, theirs, 0, 0, 0) })]);
    const outputs = member.input({ kind: 'stream-reply', id: stream?.id ?? 0, message });
    expect(events(outputs).find(event => event.kind === 'joined')).toMatchObject({ contacted: how === 'works' ? 1 : 0 });
  });

  test('after a restart brings what others think of us, and we refute it', () => {
    const member = startMember();
    const [stream] = opened(join(member, 'n1'));
    member.input({ kind: 'stream-reply', id: stream?.id ?? 0, message: pushPull([pushed('n1'), pushed('n0', { state: 'left', incarnation: 9 })]) });
    expect(member.state('n0')).toBe('alive 10');
  });

  test('an answer that is no push/pull is a failure', () => {
    const member = startMember();
    const [stream] = opened(join(member, 'n1'));
    const outputs = member.input({ kind: 'stream-reply', id: stream?.id ?? 0, message: { kind: 'ack', sequence: 1, payload: null } });
    expect(refusals(outputs)).toEqual(['unexpected-reply']);
    expect(events(outputs)).toMatchObject([{ kind: 'joined', contacted: 0, failed: [{ why: 'malformed' }] }]);
  });

  test('an answer that nobody waits for is nothing', () => {
    expect(startMember().input({ kind: 'stream-reply', id: 99, message: pushPull([pushed('n1')]) })).toEqual([]);
  });
});

describe('leaving', () => {
  test('is over when the goodbye was gossiped; afterwards it still answers and is not talked out of it', () => {
    const member = startMember(timings('gossipIntervalMs'));
    member.packet('n1', alive('n1'));
    member.pass(2000);
    member.input({ kind: 'leave', id: 3, timeoutMs: 5000 });
    const outputs = member.pass(5000);
    expect(allSent(outputs).filter(message => message.kind === 'dead')).toEqual(Array(4).fill(dead('n0', 1, 'n0')));
    expect(events(outputs)).toEqual([{ kind: 'left', id: 3, how: 'told' }]);
    expect(member.state('n0')).toBe('left 1');
    member.packet('n1', suspect('n0', 1), alive('n0', 5), dead('n0', 1));
    expect(member.state('n0')).toBe('left 1');
    const [answer] = sent(member.packet('n1', { kind: 'ping', sequence: 1, node: 'n0' }));
    expect(answer?.messages).toEqual([{ kind: 'ack', sequence: 1, payload: null }, dead('n0', 1, 'n0')]);
  });

  test('is said to all at once where they are not too many', () => {
    const member = startMember({ eagerPeers: 256 });
    member.packet('n1', alive('n1'), alive('n2'), alive('n3'), dead('n3'));
    const told = sent(member.input({ kind: 'leave', id: 3, timeoutMs: 5000 }));
    expect(told.map(({ to, messages }) => [to.address[3], messages])).toEqual([
      [expect.toBeOneOf([1, 2]), [dead('n0', 1, 'n0')]],
      [expect.toBeOneOf([1, 2]), [dead('n0', 1, 'n0')]],
    ]);
  });

  test('alone is over at once, unheard in its time', () => {
    const alone = startMember();
    expect(events(alone.input({ kind: 'leave', id: 1, timeoutMs: 100 }))).toContainEqual({ kind: 'left', id: 1, how: 'alone' });
    const unheard = startMember();
    unheard.packet('n1', alive('n1'));
    unheard.input({ kind: 'leave', id: 2, timeoutMs: 100 });
    expect(events(unheard.pass(100))).toEqual([{ kind: 'left', id: 2, how: 'timeout' }]);
  });
});

describe('what users send', () => {
  const payload = bytes('hello');

  test('to all rides in gossip, and with push goes at once to all who ever answered us', () => {
    const member = startMember({ eagerPeers: 256, ...timings('gossipIntervalMs') });
    member.packet('n1', alive('n1'), alive('n2'), alive('n3'));
    const greeted = new Set<number | undefined>();
    for (let waited = 0; waited < 2500; waited += 100) {
      for (const { to, messages } of sent(member.pass(100))) {
        const [first] = messages;
        if (first?.kind !== 'ping') continue;
        greeted.add(to.address[3]);
        // The third never answers.
        if (to.address[3] !== 3) member.input({ kind: 'packet', from: to, messages: [{ kind: 'ack', sequence: first.sequence, payload: null }] });
      }
    }
    expect([...greeted].sort()).toEqual([1, 2, 3]);
    const outputs = member.input({ kind: 'broadcast', payload, push: true });
    expect(sent(outputs).map(({ to, messages }) => [to.address[3], messages])).toEqual(
      expect.arrayContaining([
        [1, [{ kind: 'user', payload }]],
        [2, [{ kind: 'user', payload }]],
      ]),
    );
    expect(sent(outputs)).toHaveLength(2);
    expect(allSent(member.pass(5000)).filter(({ kind }) => kind === 'user')).toHaveLength(4);
  });

  test('is not used up on a newcomer that greets all: the ack to a greeting carries no news', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    const [greeting] = sent(member.packet('n1', { kind: 'ping', sequence: GREETINGS_FROM + 5, node: 'n0' }));
    expect(greeting?.messages).toEqual([{ kind: 'ack', sequence: GREETINGS_FROM + 5, payload: null }]);
    const replyTo = { ...endpointOf('n1'), node: 'n1' };
    expect(sent(member.packet('n1', { kind: 'ping', sequence: GREETINGS_FROM + 5, node: 'n0', replyTo }))[0]?.messages.length).toBeGreaterThan(1);
  });

  test('greets three times whom it never hears, then no more', () => {
    const member = startMember({ eagerPeers: 256 });
    member.packet('n1', alive('n1'));
    expect(messagesTo(member.pass(20_000), 'n1').filter(({ kind }) => kind === 'ping')).toHaveLength(3);
    expect(member.core.nextDeadline()).toBeNull();
  });

  test('a greeting says who greets: who missed the gossip of our join need not wait for a push/pull', () => {
    const member = startMember({ eagerPeers: 256 });
    member.packet('n1', alive('n1'));
    const told = messagesTo(member.pass(20_000), 'n1').filter(({ kind }) => kind === 'alive');
    expect(told).toEqual([alive('n0'), alive('n0'), alive('n0')]);
  });

  test('what is pushed to all bears no checksum, what is gossiped does: so a listener knows whether all were told', () => {
    const member = startMember({ eagerPeers: 256, gossipIntervalMs: 200 });
    const [stream] = opened(member.input({ kind: 'join', id: 1, targets: [endpointOf('n1')] }));
    member.input({ kind: 'stream-reply', id: stream?.id ?? 0, message: pushPull([pushed('n1')]) });
    expect(sent(member.input({ kind: 'broadcast', payload, push: true })).map(({ knownMax }) => knownMax)).toEqual([null]);
    const gossip = sent(member.pass(200)).filter(({ messages }) => messages.some(({ kind }) => kind === 'user'));
    expect(gossip.map(({ knownMax }) => knownMax)).toEqual([5]);
  });

  test('to whom we pushed and pulled needs no greeting', () => {
    const member = startMember();
    const [stream] = opened(member.input({ kind: 'join', id: 1, targets: [endpointOf('n1')] }));
    member.input({ kind: 'stream-reply', id: stream?.id ?? 0, message: pushPull([pushed('n1'), pushed('n2')]) });
    expect([member.view('n1')?.acquainted, member.view('n2')?.acquainted]).toEqual([true, false]);
  });

  test('in a mesh larger than the push reaches goes to the square root of it', () => {
    const member = startMember({ eagerPeers: 10 });
    const names = Array.from({ length: 64 }, (_, at) => `n${at + 1}`);
    member.packet('n1', ...names.map(name => alive(name)));
    for (const [id, node] of names.entries()) {
      const [packet] = sent(member.input({ kind: 'ping', id, node }));
      const [first] = packet?.messages ?? [];
      if (first?.kind === 'ping') member.packet(node, { kind: 'ack', sequence: first.sequence, payload: null });
    }
    expect(sent(member.input({ kind: 'broadcast', payload, push: true }))).toHaveLength(8);
  });

  test('in the longest form fits a datagram, a byte more is refused', () => {
    for (const [envelope, longest] of [
      [0, 1395],
      [11 + 29, 1355],
    ] as const) {
      const member = startMember({}, { envelopeBytes: () => envelope });
      expect(refusals(member.input({ kind: 'broadcast', payload: new Uint8Array(longest), push: false }))).toEqual([]);
      expect(refusals(member.input({ kind: 'broadcast', payload: new Uint8Array(longest + 1), push: false }))).toEqual(['payload-too-long']);
      expect(member.core.stats().userQueued).toBe(1);
    }
  });

  test('never fills the memory: what was sent most makes way', () => {
    const member = startMember({ userQueueItems: 3 });
    for (const text of ['a', 'b', 'c', 'd']) member.input({ kind: 'broadcast', payload: bytes(text), push: false });
    expect(member.core.stats().userQueued).toBe(3);
  });

  test('to one goes by datagram without news, or by a stream that reports', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    expect(sent(member.input({ kind: 'send-best-effort', to: 'n1', payload }))).toMatchObject([
      { to: endpointOf('n1'), knownMax: 5, messages: [{ kind: 'user', payload }] },
    ]);
    expect(sent(member.input({ kind: 'send-best-effort', to: endpointOf('n8'), payload }))).toMatchObject([{ to: endpointOf('n8'), knownMax: null }]);
    expect(refusals(member.input({ kind: 'send-best-effort', to: 'n8', payload }))).toEqual(['unknown-member']);
    const [stream] = opened(member.input({ kind: 'send-reliable', id: 8, to: 'n1', payload: new Uint8Array(1 << 20) }));
    expect(stream).toMatchObject({ request: { kind: 'user' }, replyExpected: false });
    expect(events(member.input({ kind: 'stream-reply', id: stream?.id ?? 0, message: null }))).toEqual([{ kind: 'sent', id: 8, failure: null }]);
    expect(events(member.input({ kind: 'send-reliable', id: 9, to: 'n8', payload }))).toEqual([{ kind: 'sent', id: 9, failure: 'unknown' }]);
  });

  test('and what we hear says by which way, from where, and who lives there', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    expect(events(member.packet('n1', { kind: 'user', payload }))).toEqual([{ kind: 'user', payload, via: 'packet', from: endpointOf('n1'), member: 'n1' }]);
    expect(events(member.packet('n2', { kind: 'user', payload }))).toMatchObject([{ member: null }]);
    expect(events(member.packet('n2', { kind: 'user', payload: new Uint8Array() }))).toHaveLength(1);
    const message = { kind: 'user', payload } as const;
    expect(events(member.input({ kind: 'stream-message', id: 1, from: { ...endpointOf('n1'), port: 50_000 }, message }))).toMatchObject([
      { via: 'stream', member: null },
    ]);
    expect(member.input({ kind: 'stream-message', id: 1, from: endpointOf('n1'), message: { ...message, payload: new Uint8Array() } })).toEqual([]);
  });

  test('a ping on demand tells how long it took, or that nobody answered', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    const [first] = messagesTo(member.input({ kind: 'ping', id: 1, node: 'n1' }), 'n1');
    member.pass(33);
    const sequence = first?.kind === 'ping' ? first.sequence : -1;
    expect(events(member.packet('n1', { kind: 'ack', sequence, payload: bytes('p') }))).toEqual([
      { kind: 'answered', node: 'n1', at: endpointOf('n1') },
      { kind: 'ping', id: 1, node: 'n1', rttMs: 33, payload: bytes('p') },
    ]);
    member.input({ kind: 'ping', id: 2, node: 'n1' });
    expect(events(member.pass(500))).toEqual([{ kind: 'ping-failed', id: 2, why: 'timeout' }]);
    expect(events(member.input({ kind: 'ping', id: 3, node: 'n7' }))).toEqual([{ kind: 'ping-failed', id: 3, why: 'unknown' }]);
  });
});

describe('under a flood of gossip', () => {
  const users = (count: number): Message[] => Array.from({ length: count }, (_, at) => ({ kind: 'user', payload: bytes(`${at}`) }));

  test('acks are answered at once, the living are heard first, and the rest waits for its turn', () => {
    const member = startMember();
    const outputs = member.packet('n1', ...users(TURN_MESSAGES + 10), alive('n1'), { kind: 'ping', sequence: 1, node: 'n0' });
    expect(sent(outputs)).toHaveLength(1);
    expect(events(outputs)).toHaveLength(TURN_MESSAGES);
    expect(member.core.stats().handoffQueued).toBe(11);
    expect(member.core.nextDeadline()).toBe(1);
    const rest = events(member.pass(1));
    expect(rest[0]?.kind).toBe('join');
    // The newest first.
    expect(rest.slice(1).map(event => (event.kind === 'user' ? String.fromCharCode(...event.payload) : ''))).toEqual(
      Array.from({ length: 10 }, (_, at) => `${TURN_MESSAGES + 9 - at}`),
    );
  });

  test('what does not fit the queue is dropped and said so', () => {
    const member = startMember({ handoffQueueDepth: 100 });
    const outputs = member.packet('n1', ...users(TURN_MESSAGES + 150));
    expect(refusals(outputs)).toEqual(Array(50).fill('handoff-full'));
    expect(member.core.stats().handoffQueued).toBe(100);
  });
});

describe('healing', () => {
  test('a lost member is tried over a stream, long after the table forgot it; one that left is not', () => {
    const member = startMember(timings('announceIntervalMs', 'probeIntervalMs'));
    member.packet('n1', alive('n1'), alive('n2'), dead('n1'), dead('n2', 1, 'n2'));
    member.pass(120_000);
    expect(member.state('n1')).toBe('unknown');
    const tries = opened(member.pass(3_600_000));
    expect(tries.length).toBeGreaterThan(100);
    for (const { to, request } of tries) {
      expect(to).toEqual(endpointOf('n1'));
      expect(request).toMatchObject({ kind: 'push-pull', join: true });
    }
    let stream = opened(member.pass(1000))[0];
    while (stream === undefined) [stream] = opened(member.pass(1000));
    member.input({ kind: 'stream-reply', id: stream.id, message: pushPull([pushed('n1')]) });
    expect(member.state('n1')).toBe('alive 1');
  });

  test('a lost member is forgotten after a day', () => {
    const member = startMember(timings('announceIntervalMs', 'probeIntervalMs'));
    member.packet('n1', alive('n1'), dead('n1'));
    member.pass(25 * 3_600_000);
    expect(opened(member.pass(3_600_000))).toEqual([]);
  });

  test('the list of peers is due again and again', () => {
    const member = startMember(timings('rejoinIntervalMs'));
    expect(events(member.pass(600_000)).filter(event => event.kind === 'rejoin-due')).toHaveLength(10);
  });

  test('who suspects one that is long gone is told so', () => {
    const member = startMember({}, { random: { below: () => 0 } });
    member.packet('n1', alive('n1'), alive('n2'), dead('n1'));
    expect(messagesTo(member.packet('n2', suspect('n1', 1, 'n2')), 'n2')).toEqual([dead('n1', 1, 'n0')]);
    expect(messagesTo(member.packet('n2', suspect('n1', 1, 'n2')), 'n2')).toEqual([]);
  });

  test('nobody is reminded of a death right after it', () => {
    const member = startMember();
    member.packet('n1', alive('n1'), dead('n1'));
    expect(sent(member.packet('n1', alive('n1')))).toEqual([]);
    expect(story(member.outputs)).toEqual(['join n0', 'join n1', 'leave n1']);
  });
});
