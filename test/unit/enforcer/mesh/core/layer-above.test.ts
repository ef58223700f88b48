/** What the core asks the layer above, and what it tells only that. */
import { describe, expect, test } from 'vitest';
import type { Hooks } from '#enforcer/mesh/protocol/core/hooks.ts';
import { alive, bytes, endpointOf, events, messagesTo, pushed, pushPull, replies, sent, startMember, suspect, timings } from '#test/support/mesh-member.ts';

describe('a push/pull', () => {
  test('proves what it proves before its members are weighed, and is answered by what is known then', () => {
    const order: string[] = [];
    const hooks: Hooks = {
      merging: ({ userState, from, join }) => void order.push(`merging ${String.fromCharCode(...userState)} from ${from.address.join('.')} ${join}`),
      admitAlive: ({ node }) => order.push(`weigh ${node}`) > 0,
      localState(join, asked) {
        order.push(`state ${join} for ${asked === null ? 'nobody' : String.fromCharCode(...asked.userState)}`);
        return bytes('ours');
      },
    };
    const member = startMember({}, { hooks });
    const message = pushPull([pushed('n1')], { join: true, userState: bytes('proof') });
    const [reply] = replies(member.input({ kind: 'stream-message', id: 1, from: endpointOf('n1'), message }));
    expect(order).toEqual(['merging proof from 10.0.0.1 true', 'weigh n1', 'state true for proof']);
    expect(reply?.message).toMatchObject({ kind: 'push-pull', userState: bytes('ours') });
    expect(reply?.message.kind === 'push-pull' && reply.message.members.map(({ name }) => name)).toEqual(['n0']);
  });
});

describe('user messages', () => {
  const hooks: Hooks = { hearsUsers: ({ name }) => name !== 'n1' };
  const users = (name: string, outputs: Parameters<typeof messagesTo>[0]) => messagesTo(outputs, name).filter(({ kind }) => kind === 'user').length;

  test('go to those only for whom they are: pushed, gossiped and on board of acks; news go to all', () => {
    const member = startMember({ ...timings('gossipIntervalMs', 'eagerPeers') }, { hooks });
    member.packet('n1', alive('n1'), alive('n2'));
    for (const [name, sequence] of [...sent(member.pass(3000))].flatMap(({ to, messages }) =>
      messages.flatMap(one => (one.kind === 'ping' ? [[`n${to.address[3]}`, one.sequence] as const] : [])),
    ))
      member.packet(name, { kind: 'ack', sequence, payload: null });
    expect(member.view('n1')?.acquainted).toBe(true);
    const outputs = [...member.input({ kind: 'broadcast', payload: bytes('hm1'), push: true })];
    outputs.push(...member.packet('n1', { kind: 'ping', sequence: 1, node: 'n0', replyTo: { ...endpointOf('n1'), node: 'n1' } }));
    outputs.push(...member.packet('n1', alive('n3')), ...member.pass(2000));
    expect(users('n1', outputs)).toBe(0);
    expect(users('n2', outputs)).toBeGreaterThan(1);
    expect(messagesTo(outputs, 'n1').map(({ kind }) => kind)).toContain('alive');
  });

  test('for whom nobody is there do not wait, nor keep an idle member awake', () => {
    const member = startMember({ ...timings('gossipIntervalMs') }, { hooks });
    member.packet('n1', alive('n1'));
    member.pass(3000);
    member.input({ kind: 'broadcast', payload: bytes('hm1'), push: false });
    member.pass(400);
    expect(member.core.stats().userQueued).toBe(0);
    expect(member.core.nextDeadline()).toBeNull();
  });
});

describe('an accusation', () => {
  test('is told to the layer above where our own probe failed, each time, and not where others say so', () => {
    const member = startMember({ ...timings('probeIntervalMs'), disableTcpPings: true });
    member.packet('n1', alive('n1'));
    const outputs = member.pass(3500);
    const kinds = events(outputs).map(event => (event.kind === 'accused' ? `accused ${event.member.name} ${event.member.incarnation}` : event.kind));
    expect(kinds.filter(kind => kind.startsWith('accused')).length).toBeGreaterThanOrEqual(1);
    expect(kinds.indexOf('accused n1 1')).toBeLessThan(kinds.indexOf('suspect'));
    const other = startMember();
    other.packet('n1', alive('n1'), suspect('n1'));
    expect(events(other.outputs).map(({ kind }) => kind)).not.toContain('accused');
  });
});
