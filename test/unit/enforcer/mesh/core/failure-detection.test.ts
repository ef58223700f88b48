import { describe, expect, test } from 'vitest';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import {
  alive,
  allSent,
  dead,
  endpointOf,
  events,
  messagesTo,
  opened,
  sent,
  startMember,
  story,
  suspect,
  type TestMember,
  timings,
  VERSIONS,
} from '#test/support/mesh-member.ts';

const probing = timings('probeIntervalMs');
type Ping = Extract<Message, { kind: 'ping' }>;
const pingIn = (messages: readonly Message[]): Ping => messages.find(message => message.kind === 'ping') as Ping;

/** A member that knows these, with its news gossiped and its first ping out. */
function probingMember(names: readonly string[], own = {}, target = 'n1'): { readonly member: TestMember; readonly ping: Ping } {
  for (let seed = 1; ; seed++) {
    const member = startMember({ ...probing, ...own }, { random: { below: limit => (seed * 7919) % limit } });
    member.packet('n1', ...names.map(name => alive(name)));
    const ping = pingIn(messagesTo(member.pass(1000), target));
    if (ping !== undefined) return { member, ping };
  }
}
const ack = (sequence: number): Message => ({ kind: 'ack', sequence, payload: null });

describe('a probe', () => {
  test('asks one living member an interval, each once a round, and nobody who is gone', () => {
    const member = startMember(probing);
    member.packet('n1', alive('n1'), alive('n2'), alive('n3'), alive('n4'), alive('n5'), dead('n4'), dead('n5', 1, 'n5'));
    const asked: string[] = [];
    for (let round = 0; round < 9; round++) {
      for (const { messages, to } of sent(member.pass(1000))) {
        const { node, sequence } = pingIn(messages);
        asked.push(node);
        member.input({ kind: 'packet', from: to, messages: [ack(sequence)] });
      }
    }
    expect(asked).toHaveLength(9);
    for (let round = 0; round < 9; round += 3) expect(asked.slice(round, round + 3).sort()).toEqual(['n1', 'n2', 'n3']);
  });

  test('that is answered tells the time it took, with the payload, and restores health', () => {
    const { member, ping } = probingMember(['n1', 'n2']);
    member.packet('n2', suspect('n0', 1));
    expect(member.core.stats().health).toBe(1);
    member.pass(120);
    const outputs = member.packet('n1', { kind: 'ack', sequence: ping.sequence, payload: Uint8Array.of(7) });
    expect(events(outputs)).toEqual([
      { kind: 'answered', node: 'n1', at: endpointOf('n1') },
      { kind: 'ping', id: null, node: 'n1', rttMs: 120, payload: Uint8Array.of(7) },
    ]);
    expect(member.core.stats().health).toBe(0);
    expect(member.view('n1')?.acquainted).toBe(true);
  });

  test('names its sender and where to answer, and carries news', () => {
    const { member, ping } = probingMember(['n1', 'n2']);
    expect(ping).toMatchObject({ node: 'n1', replyTo: { ...endpointOf('n0'), node: 'n0' } });
    expect(allSent(member.outputs)).toContainEqual(alive('n0'));
  });

  test('without an answer asks three others to ask and tries a stream, until the interval ends in a suspicion', () => {
    const { member, ping } = probingMember(['n1', 'n2', 'n3', 'n4', 'n5']);
    const outputs = member.pass(500);
    const asks = sent(outputs).map(({ messages }) => messages[0]);
    expect(asks).toHaveLength(3);
    for (const message of asks)
      expect(message).toMatchObject({ kind: 'indirect-ping', sequence: ping.sequence, target: endpointOf('n1').address, node: 'n1', nack: true });
    expect(new Set(sent(outputs).map(({ to }) => to.address[3])).has(1)).toBe(false);
    expect(opened(outputs)).toMatchObject([
      { to: endpointOf('n1'), request: { kind: 'ping', sequence: ping.sequence, node: 'n1' }, deadlineMs: 2000, replyExpected: true },
    ]);
    expect(member.state('n1')).toBe('alive 1');
    expect(story(member.pass(500))).toContain('suspect n1');
    expect(member.core.stats().health).toBe(3);
  });

  test('whose ack comes by a helper is a success, but proves nothing of the address', () => {
    const { member, ping } = probingMember(['n1', 'n2', 'n3']);
    member.pass(600);
    member.packet('n2', ack(ping.sequence));
    member.pass(399);
    expect(member.state('n1')).toBe('alive 1');
    expect(member.view('n1')?.acquainted).toBe(false);
    expect(member.core.stats().health).toBe(0);
  });

  test('that only a stream answers is a success at the end of the interval, and says that UDP is blocked', () => {
    const { member, ping } = probingMember(['n1', 'n2', 'n3']);
    const [stream] = opened(member.pass(500));
    member.input({ kind: 'stream-reply', id: stream?.id ?? -1, message: { kind: 'ack', sequence: ping.sequence, payload: null } });
    expect(story(member.pass(500))).toEqual(['udp-blocked n1']);
    expect(member.state('n1')).toBe('alive 1');
  });

  test.each<[string, Message]>([
    ['another sequence number', { kind: 'ack', sequence: 1, payload: null }],
    ['another message', { kind: 'error', text: 'no' }],
  ])('is not saved by %s on the stream', (_, message) => {
    const { member } = probingMember(['n1', 'n2', 'n3']);
    const [stream] = opened(member.pass(500));
    member.input({ kind: 'stream-reply', id: stream?.id ?? -1, message: message as never });
    member.pass(500);
    expect(member.state('n1')).toBe('suspect 1');
  });

  test('tries no stream where that is switched off, or where the peer is too old for it', () => {
    expect(opened(probingMember(['n1', 'n2'], { disableTcpPings: true }).member.pass(500))).toEqual([]);
    const member = startMember(probing);
    member.packet('n1', alive('n1', 1, { versions: Uint8Array.of(1, 2, 2, 0, 0, 0) }));
    expect(opened(member.pass(2000))).toEqual([]);
    expect(member.state('n1')).toBe('suspect 1');
  });

  test('to where our own socket fails asks others at once, and its success is no merit', () => {
    const { member, ping } = probingMember(['n1', 'n2', 'n3']);
    member.packet('n2', suspect('n0', 1));
    const outputs = member.input({ kind: 'send-failed', to: endpointOf('n1') });
    expect(sent(outputs).map(({ messages }) => messages[0]?.kind)).toEqual(['indirect-ping', 'indirect-ping']);
    member.packet('n2', ack(ping.sequence));
    expect(member.state('n1')).toBe('alive 1');
    expect(member.core.stats().health).toBe(1);
  });

  test('of a suspect says so in the ping itself, so that it can refute', () => {
    const member = startMember(probing);
    member.packet('n1', alive('n1', 4), suspect('n1', 4));
    const [packet] = sent(member.pass(1000));
    expect(packet?.messages).toEqual([expect.objectContaining({ kind: 'ping', node: 'n1' }), suspect('n1', 4, 'n0')]);
    expect(packet?.knownMax).toBe(5);
  });

  test('is answered too late where the interval is over: the suspicion stands', () => {
    const { member, ping } = probingMember(['n1', 'n2']);
    member.pass(1000);
    member.packet('n1', ack(ping.sequence));
    expect(member.state('n1')).toBe('suspect 1');
  });

  test('takes the ack first that lies in the socket at its deadline', () => {
    const { member, ping } = probingMember(['n1', 'n2']);
    member.pass(999);
    member.nowMs += 40;
    member.packet('n1', ack(ping.sequence));
    expect(member.state('n1')).toBe('alive 1');
  });
});

describe('health', () => {
  const nack = (sequence: number): Message => ({ kind: 'nack', sequence });

  test('suffers by each helper that does not even say no', () => {
    const { member, ping } = probingMember(['n1', 'n2', 'n3', 'n4']);
    member.pass(900);
    member.packet('n2', nack(ping.sequence));
    member.pass(100);
    expect(member.core.stats().health).toBe(2);
  });

  test('does not suffer where all helpers say no', () => {
    const { member, ping } = probingMember(['n1', 'n2', 'n3', 'n4']);
    member.pass(900);
    for (const name of ['n2', 'n3', 'n4']) member.packet(name, nack(ping.sequence));
    member.pass(100);
    expect(member.core.stats().health).toBe(0);
    expect(member.state('n1')).toBe('suspect 1');
  });

  test('suffers by one where the helpers are too old to say no', () => {
    const old = { versions: Uint8Array.of(1, 3, 2, 0, 0, 0) };
    const member = startMember(probing);
    member.packet('n1', alive('n1', 1, old), alive('n2', 1, old));
    member.pass(2000);
    expect(member.core.stats().health).toBe(1);
  });

  test('that is low gives peers more time', () => {
    const { member, ping } = probingMember(['n1', 'n2', 'n3', 'n4']);
    member.pass(1000);
    expect(member.core.stats().health).toBe(3);
    expect(ping.node).toBe('n1');
    member.pass(3999);
    expect(['n2', 'n3', 'n4'].map(member.state)).toEqual(['alive 1', 'alive 1', 'alive 1']);
    member.pass(1);
    expect(['n2', 'n3', 'n4'].map(member.state).filter(state => state === 'suspect 1')).toHaveLength(1);
  });
});

describe('suspicion by many', () => {
  test.each([
    [3, [], 500],
    [4, [], 500],
    [5, [], 1000],
    [6, [], 1000],
    [6, ['n2'], 750],
    [6, ['n2', 'n3'], 603],
    [6, ['n2', 'n3', 'n4'], 500],
    [6, ['n2', 'n3', 'n4', 'n5'], 500],
    [6, ['n2', 'n2', 'n0'], 750],
  ])('in a mesh of %d with accusers %j ends after %d ms', (members, accusers, ms) => {
    const own = { suspicionMult: 5, suspicionMaxTimeoutMult: 2, probeIntervalMs: 100, probeTimeoutMs: 99, disableTcpPings: true };
    const names = Array.from({ length: members - 1 }, (_, at) => `n${at + 1}`);
    const member = startMember({ ...own, indirectChecks: 0 });
    member.packet('n1', ...names.map(name => alive(name)), suspect('n1', 1, 'n0'));
    for (const from of accusers) member.packet('n2', suspect('n1', 1, from));
    member.pass(ms - 1);
    expect(member.state('n1')).toBe('suspect 1');
    member.pass(1);
    expect(member.state('n1')).toBe('dead 1');
  });
});

describe('what others ask of us', () => {
  const ping = (sequence: number, more: Partial<Ping> = {}): Ping => ({ kind: 'ping', sequence, node: 'n0', ...more });

  test('a ping is answered to where it says, else to where it came from', () => {
    const member = startMember({}, { hooks: { ackPayload: () => Uint8Array.of(1) } });
    const [first] = sent(member.packet('n1', ping(42)));
    expect(first).toMatchObject({ to: endpointOf('n1'), knownMax: null });
    expect(first?.messages[0]).toEqual({ kind: 'ack', sequence: 42, payload: Uint8Array.of(1) });
    const [second] = sent(member.packet('n1', ping(43, { node: '', replyTo: { ...endpointOf('n2'), node: 'n2' } })));
    expect(second?.to).toMatchObject(endpointOf('n2'));
  });

  test('an ack carries news behind it', () => {
    const member = startMember();
    member.packet('n1', alive('n1'));
    const [first] = sent(member.packet('n1', ping(42)));
    expect(first?.messages.map(({ kind }) => kind)).toEqual(['ack', 'alive', 'alive']);
  });

  test('three pings in a compound get three acks', () => {
    expect(sent(startMember().packet('n1', ping(1), ping(2), ping(3)))).toHaveLength(3);
  });

  test('a ping for another name is not answered, by datagram or stream', () => {
    const member = startMember();
    expect(sent(member.packet('n1', ping(1, { node: 'n7' })))).toEqual([]);
    expect(member.input({ kind: 'stream-message', id: 1, from: endpointOf('n1'), message: ping(1, { node: 'n7' }) })).toMatchObject([{ kind: 'refused' }]);
  });

  test('a ping on a stream is answered there', () => {
    const outputs = startMember().input({ kind: 'stream-message', id: 9, from: endpointOf('n1'), message: ping(5) });
    expect(outputs).toEqual([{ kind: 'reply', id: 9, message: ack(5) }]);
  });

  const request = (nack: boolean): Message => ({ kind: 'indirect-ping', sequence: 77, target: endpointOf('n2').address, port: 7946, node: 'n2', nack });

  test('to ask another: its ack goes back under the number of the asker', () => {
    const member = startMember();
    const [asked] = sent(member.packet('n1', request(true)));
    expect(asked?.to).toEqual(endpointOf('n2'));
    const own = pingIn(asked?.messages ?? []);
    expect(own.node).toBe('n2');
    const [relayed] = sent(member.packet('n2', ack(own.sequence)));
    expect(relayed?.to).toEqual(endpointOf('n1'));
    expect(relayed?.messages[0]).toEqual(ack(77));
    expect(allSent(member.pass(1000))).toEqual([]);
  });

  test('to ask another: without an answer a nack goes out at 0.8 of the timeout, and a later ack still does', () => {
    const member = startMember();
    const own = pingIn(allSent(member.packet('n1', request(true))));
    expect(allSent(member.pass(399))).toEqual([]);
    expect(messagesTo(member.pass(1), 'n1')[0]).toEqual({ kind: 'nack', sequence: 77 });
    expect(messagesTo(member.packet('n2', ack(own.sequence)), 'n1')[0]).toEqual(ack(77));
  });

  test('to ask another: no nack where none is wanted, and no ack after the timeout', () => {
    const member = startMember();
    const own = pingIn(allSent(member.packet('n1', request(false))));
    expect(allSent(member.pass(500))).toEqual([]);
    expect(sent(member.packet('n2', ack(own.sequence)))).toEqual([]);
  });

  test('to ask others for thousands at once is refused beyond a bound, and again possible later', () => {
    const member = startMember();
    for (let at = 0; at < 1100; at++) member.packet('n1', request(true));
    expect(member.outputs.filter(output => output.kind === 'refused')).toHaveLength(76);
    member.pass(500);
    expect(sent(member.packet('n1', request(true)))).toHaveLength(1);
  });
});

describe('a process that was stopped', () => {
  test('judges nobody by the time that it slept', () => {
    const { member } = probingMember(['n1', 'n2', 'n3']);
    member.packet('n2', suspect('n3', 1));
    member.nowMs += 60_000;
    member.input({ kind: 'tick' });
    expect(story(member.outputs).filter(text => text.startsWith('leave'))).toEqual([]);
    expect(member.state('n1')).toBe('alive 1');
    member.packet('n3', alive('n3', 2));
    expect(member.state('n3')).toBe('alive 2');
    expect(member.core.stats().sleptMs).toBeGreaterThan(59_000);
  });

  test('that was only a little late is judged by the clock', () => {
    const { member } = probingMember(['n1', 'n2']);
    member.nowMs += 400;
    member.input({ kind: 'tick' });
    member.nowMs += 600;
    member.input({ kind: 'tick' });
    expect(member.state('n1')).toBe('suspect 1');
  });
});

test('versions of a member come from its alive', () => {
  const member = startMember();
  member.packet('n1', alive('n1', 1, { versions: Uint8Array.of(1, 4, 3, 2, 5, 4) }));
  expect(member.view('n1')?.versions).toEqual(Uint8Array.of(1, 4, 3, 2, 5, 4));
  member.packet('n1', alive('n1', 2, { versions: new Uint8Array() }));
  expect(member.view('n1')?.versions).toEqual(Uint8Array.of(1, 4, 3, 2, 5, 4));
  expect(VERSIONS).toHaveLength(6);
});
