import { describe, expect, test } from 'vitest';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import {
  alive,
  allSent,
  bytes,
  dead,
  endpointOf,
  events,
  opened,
  pushed,
  pushPull,
  refusals,
  replies,
  sent,
  startMember,
  suspect,
  type TestMember,
  timings,
} from '#test/support/mesh-member.ts';

describe('push/pull', () => {
  const serve = (member: TestMember, ...members: ReturnType<typeof pushed>[]) =>
    member.input({ kind: 'stream-message', id: 4, from: endpointOf('n1'), message: pushPull(members) });

  test('takes the living and the left from a list, and suspects the dead', () => {
    const member = startMember();
    member.packet('n1', alive('n1'), alive('n2'), alive('n3'), alive('n4'), alive('n5', 3));
    serve(
      member,
      pushed('n1', { incarnation: 2 }),
      pushed('n2', { state: 'suspect' }),
      pushed('n3', { state: 'dead' }),
      pushed('n4', { state: 'left' }),
      pushed('n5', { state: 'dead' }),
      pushed('n6'),
      pushed('n7', { state: 'dead' }),
    );
    expect(['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'].map(member.state)).toEqual([
      'alive 2',
      'suspect 1',
      'suspect 1',
      'left 1',
      'alive 3',
      'alive 1',
      'unknown',
    ]);
  });

  test('answers with all it knew before, the gone and itself included, and the same join flag', () => {
    const member = startMember({}, { hooks: { localState: join => bytes(join ? 'all' : 'some') } });
    member.packet('n2', alive('n1'), alive('n2'), dead('n2'));
    const outputs = member.input({ kind: 'stream-message', id: 4, from: endpointOf('n3'), message: pushPull([pushed('n3')], { join: true }) });
    const [reply] = replies(outputs);
    expect(reply).toMatchObject({ id: 4, message: { kind: 'push-pull', join: true, userState: bytes('all') } });
    const names = reply?.message.kind === 'push-pull' ? reply.message.members.map(({ name, state }) => `${name} ${state}`).sort() : [];
    expect(names).toEqual(['n0 alive', 'n1 alive', 'n2 dead']);
    expect(member.state('n3')).toBe('alive 1');
  });

  test('tells the user state that came, if any came', () => {
    const member = startMember();
    const message = pushPull([pushed('n1')], { join: true, userState: bytes('state') });
    expect(events(member.input({ kind: 'stream-message', id: 1, from: endpointOf('n1'), message }))).toMatchObject([
      { kind: 'join' },
      { kind: 'merge', join: true, userState: bytes('state'), from: endpointOf('n1') },
    ]);
    expect(events(serve(member, pushed('n1')))).toEqual([]);
  });

  test('merges nothing from whom it cannot talk with, or whom the layer above does not want', () => {
    const odd = startMember();
    expect(refusals(serve(odd, pushed('n1', { versions: Uint8Array.of(6, 7, 6, 0, 0, 0) })))).toEqual(['incompatible-versions']);
    expect(odd.state('n1')).toBe('unknown');
    const member = startMember({}, { hooks: { admitMerge: () => false } });
    const message = pushPull([pushed('n1')], { join: true });
    expect(refusals(member.input({ kind: 'stream-message', id: 1, from: endpointOf('n1'), message }))).toEqual(['vetoed']);
    expect(member.state('n1')).toBe('unknown');
    serve(member, pushed('n1'));
    expect(member.state('n1')).toBe('alive 1');
  });

  test('happens with one living member at each interval, first after a stagger', () => {
    const member = startMember(timings('pushPullIntervalMs'));
    member.packet('n1', alive('n1'), alive('n2'), dead('n2'));
    const outputs = member.pass(180_000);
    expect(opened(outputs).length).toBeGreaterThanOrEqual(4);
    expect(opened(outputs).length).toBeLessThanOrEqual(6);
    for (const { to, request, replyExpected } of opened(outputs)) {
      expect(to).toEqual(endpointOf('n1'));
      expect(request).toMatchObject({ kind: 'push-pull', join: false });
      expect(replyExpected).toBe(true);
    }
  });
});

describe('gossip', () => {
  test('goes at each interval to three of those who are alive, suspect or lately dead, never to one that left or to ourselves', () => {
    const member = startMember(timings('gossipIntervalMs'));
    for (const name of ['n1', 'n2', 'n3', 'n4', 'n5']) member.packet(name, alive(name));
    member.packet('n1', dead('n4', 1, 'n4'), suspect('n3'), dead('n5'));
    const targets = Array.from({ length: 10 }, () => {
      member.input({ kind: 'update-meta', meta: bytes('news') });
      const round = sent(member.pass(200)).map(({ to }) => to.address[3]);
      expect(new Set(round).size).toBe(3);
      return round;
    }).flat();
    expect([...new Set(targets)].sort()).toEqual([1, 2, 3, 5]);
  });

  test('stops telling the dead after their time', () => {
    const member = startMember(timings('gossipIntervalMs'));
    member.packet('n1', alive('n1'), dead('n1'));
    expect(sent(member.pass(1000)).length).toBeGreaterThan(0);
    member.pass(30_000);
    member.input({ kind: 'update-meta', meta: bytes('x') });
    expect(sent(member.pass(1000))).toEqual([]);
  });

  test('says each thing its number of times and then is silent', () => {
    const member = startMember(timings('gossipIntervalMs'));
    member.packet('n1', alive('n1'));
    const said = allSent(member.pass(10_000));
    expect(said.filter(message => message.kind === 'alive' && message.node === 'n0')).toHaveLength(4);
    expect(said.filter(message => message.kind === 'alive' && message.node === 'n1')).toHaveLength(4);
    expect(member.core.stats().newsQueued).toBe(0);
  });

  test('carries a CRC to whom it is known to understand it', () => {
    const member = startMember(timings('gossipIntervalMs'));
    member.packet('n1', alive('n1', 1, { versions: Uint8Array.of(1, 4, 2, 0, 0, 0) }));
    expect(sent(member.pass(250)).map(({ knownMax }) => knownMax)).toEqual([4]);
  });

  test('that rides on an ack leaves room for the ack', () => {
    const payload = new Uint8Array(600);
    const member = startMember({}, { envelopeBytes: () => 40, hooks: { ackPayload: () => payload } });
    for (let at = 1; at <= 50; at++) member.packet('n1', alive(`n${at}`));
    const [packet] = sent(member.packet('n1', { kind: 'ping', sequence: 1, node: 'n0' }));
    const length = 40 + 2 + (packet?.messages ?? []).reduce((sum, message) => sum + 2 + encodeMessage(message).length, 0);
    expect(length).toBeGreaterThan(1200);
    expect(length).toBeLessThanOrEqual(1400);
  });

  test('never makes a datagram longer than its budget, and leaves room for user messages', () => {
    const member = startMember(timings('gossipIntervalMs'), { envelopeBytes: () => 40 });
    for (let at = 1; at <= 200; at++) member.packet('n1', alive(`n${at}`, 1, { meta: new Uint8Array(100) }));
    for (let at = 0; at < 50; at++) member.input({ kind: 'broadcast', payload: new Uint8Array(100), push: false });
    const first = sent(member.pass(250));
    for (const { messages } of first) {
      const length = 40 + 2 + messages.reduce((sum, message) => sum + 2 + encodeMessage(message).length, 0);
      expect(length).toBeLessThanOrEqual(1400);
      expect(messages.some(({ kind }) => kind === 'user')).toBe(true);
      expect(messages.some(({ kind }) => kind === 'alive')).toBe(true);
    }
  });
});
