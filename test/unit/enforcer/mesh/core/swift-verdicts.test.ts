/** Where a death is noticed and told sooner than by memberlist's timings, and where it must not be. */
import { describe, expect, test } from 'vitest';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import { alive, messagesTo, opened, sent, startMember, story, suspect, type TestMember, timings } from '#test/support/mesh-member.ts';

type Ping = Extract<Message, { kind: 'ping' }>;
const nack = (sequence: number): Message => ({ kind: 'nack', sequence });

/** A member whose first ping to n1 has timed out, so that three others and a stream are asked. */
function asking(): { readonly member: TestMember; readonly sequence: number; readonly stream: number } {
  for (let seed = 1; ; seed++) {
    const member = startMember(timings('probeIntervalMs'), { random: { below: limit => (seed * 7919) % limit } });
    member.packet('n1', ...['n1', 'n2', 'n3', 'n4', 'n5'].map(name => alive(name)));
    const ping = messagesTo(member.pass(1000), 'n1').find((message): message is Ping => message.kind === 'ping');
    const [stream] = opened(member.pass(500));
    if (ping !== undefined) return { member, sequence: ping.sequence, stream: stream?.id ?? -1 };
  }
}

describe('a probe whose helpers all failed', () => {
  test('ends at once where the port is closed, too', () => {
    const { member, sequence, stream } = asking();
    member.input({ kind: 'stream-failed', id: stream, why: 'refused' });
    member.pass(300);
    for (const helper of ['n2', 'n3']) member.packet(helper, nack(sequence));
    expect(member.state('n1')).toBe('alive 1');
    expect(story(member.packet('n4', nack(sequence)))).toContain('suspect n1');
    expect(member.core.stats().health).toBe(0);
  });

  test.each(['timeout', 'unreachable'] as const)('waits for the rest of its time where the stream failed by %s', why => {
    const { member, sequence, stream } = asking();
    member.input({ kind: 'stream-failed', id: stream, why });
    for (const helper of ['n2', 'n3', 'n4']) member.packet(helper, nack(sequence));
    member.pass(499);
    expect(member.state('n1')).toBe('alive 1');
    expect(story(member.pass(1))).toContain('suspect n1');
  });

  test('waits where this member distrusts itself', () => {
    const { member, sequence, stream } = asking();
    member.packet('n2', suspect('n0', 1));
    member.input({ kind: 'stream-failed', id: stream, why: 'refused' });
    for (const helper of ['n2', 'n3', 'n4']) member.packet(helper, nack(sequence));
    expect(member.state('n1')).toBe('alive 1');
  });
});

describe('whose suspicion runs out here', () => {
  const told = (member: TestMember, ms: number, node: string): number =>
    sent(member.pass(ms)).filter(({ messages }) => messages.some(message => message.kind === 'dead' && message.node === node)).length;

  test('is dead for all at once, not by gossip only', () => {
    const member = startMember({ eagerPeers: 256 });
    member.packet('n1', ...['n1', 'n2', 'n3', 'n4', 'n5'].map(name => alive(name)));
    member.packet('n2', suspect('n5', 1, 'n2'), suspect('n5', 1, 'n3'), suspect('n5', 1, 'n4'));
    expect(told(member, 3999, 'n5')).toBe(0);
    expect(told(member, 2, 'n5')).toBe(4);
  });

  test('is left to gossip where many die within a second, or where nothing is pushed', () => {
    const member = startMember({ eagerPeers: 256 });
    member.packet('n1', ...['n1', 'n2', 'n3', 'n4', 'n5'].map(name => alive(name)));
    for (const node of ['n4', 'n5']) member.packet('n2', suspect(node, 1, 'n1'), suspect(node, 1, 'n2'), suspect(node, 1, 'n3'));
    const outputs = member.pass(4001);
    const pushes = sent(outputs).flatMap(({ messages }) => messages.filter(message => message.kind === 'dead'));
    expect(member.state('n4')).toBe('dead 1');
    expect(member.state('n5')).toBe('dead 1');
    expect(new Set(pushes.map(message => message.kind === 'dead' && message.node)).size).toBe(1);
    const silent = startMember();
    silent.packet('n1', alive('n1'), alive('n2'), alive('n3'), alive('n4'), alive('n5'));
    silent.packet('n2', suspect('n5', 1, 'n2'), suspect('n5', 1, 'n3'), suspect('n5', 1, 'n4'));
    expect(told(silent, 4001, 'n5')).toBe(0);
  });
});
