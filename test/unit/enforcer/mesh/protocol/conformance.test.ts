/** What of memberlist's own tests has no place elsewhere, and that the list of all of them (README.md) is true. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { placeOf } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { Input } from '#enforcer/mesh/protocol/core/inputs.ts';
import { type Core, createMember } from '#enforcer/mesh/protocol/core/member.ts';
import { memberOptions } from '#enforcer/mesh/protocol/core/options.ts';
import type { Output } from '#enforcer/mesh/protocol/core/outputs.ts';
import { shuffle } from '#enforcer/mesh/protocol/core/random.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { alive, endpointOf, events, opened, pushed, pushPull, refusals, replies, seeded, sent, startMember, suspect } from '#test/support/mesh-member.ts';

const rows = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8')
  .split('\n')
  .map(line => line.split('|').map(cell => cell.trim()))
  .flatMap(([, name = '', file = '', title = '']) => (/^Test/.test(name) ? [{ name, file, title }] : []));

describe("the list of memberlist's tests", () => {
  test('names each of the 147 of v0.7.0 once', () => {
    expect(rows).toHaveLength(147);
    expect(new Set(rows.map(({ name }) => name)).size).toBe(147);
  });

  const places = { interop: 'test', support: 'test/unit' } as const;
  const top = join(import.meta.dirname, '../../../../..');
  test.each(rows.filter(({ file }) => file !== '—'))('$name: $file has it', ({ file, title }) => {
    const [folder = ''] = file.split('/');
    const path = join(top, places[folder as keyof typeof places] ?? 'test/unit/enforcer/mesh', file);
    expect(existsSync(path)).toBe(true);
    expect(readFileSync(path, 'utf8')).toContain(title);
  });

  test('gives a reason where there is none of ours', () => {
    for (const { file, title } of rows) if (file === '—') expect(title.length).toBeGreaterThan(5);
  });
});

describe('a cluster (TestMemberlist_Integ)', () => {
  interface Post {
    readonly atMs: number;
    readonly to: number;
    readonly input: Input;
  }

  /** Cores on virtual time that lose nothing; each datagram and each half of a stream takes a millisecond. */
  function cluster(size: number, tuning: Parameters<typeof memberOptions>[1] extends infer Own ? Partial<Own> : never) {
    const names = Array.from({ length: size }, (_, at) => `n${at}`);
    const at = new Map(names.map((name, index) => [placeOf(endpointOf(name)), index]));
    const post: Post[] = [];
    const streams = new Map<number, { readonly from: number; readonly id: number }>();
    let nowMs = 0;
    let lastStream = 0;
    const cores: Core[] = names.map((name, index) =>
      createMember(memberOptions('lan', { ...tuning, name, advertise: endpointOf(name) }), {
        random: seeded(index + 1),
        sizeOf: message => encodeMessage(message).length,
        envelopeBytes: () => 29,
      }),
    );

    function took(index: number, outputs: readonly Output[]): void {
      for (const output of outputs) {
        const to = 'to' in output ? at.get(placeOf(output.to)) : undefined;
        const from = endpointOf(names[index] ?? '');
        if (output.kind === 'send' && to !== undefined) post.push({ atMs: nowMs + 1, to, input: { kind: 'packet', from, messages: output.messages } });
        if (output.kind === 'open' && to !== undefined) {
          streams.set(++lastStream, { from: index, id: output.id });
          post.push({ atMs: nowMs + 1, to, input: { kind: 'stream-message', id: lastStream, from, message: output.request } });
        }
        const opener = output.kind === 'reply' ? streams.get(output.id) : undefined;
        if (output.kind === 'reply' && opener !== undefined) {
          post.push({ atMs: nowMs + 1, to: opener.from, input: { kind: 'stream-reply', id: opener.id, message: output.message } });
        }
      }
    }

    const input = (index: number, what: Input): void => took(index, cores[index]?.handle(what, nowMs) ?? []);
    for (const index of cores.keys()) input(index, { kind: 'start' });
    return {
      cores,
      input,
      pass(ms: number) {
        for (const untilMs = nowMs + ms; nowMs < untilMs; ) {
          nowMs = Math.min(untilMs, ...post.map(({ atMs }) => atMs), ...cores.map(core => Math.max(nowMs, core.nextDeadline() ?? untilMs)));
          for (const each of post.splice(0).filter(item => item.atMs <= nowMs || !post.push(item))) input(each.to, each.input);
          for (const [index, core] of cores.entries()) if ((core.nextDeadline() ?? untilMs) <= nowMs) input(index, { kind: 'tick' });
        }
      },
    };
  }

  test('sixteen members that join in a row know each other within 250 ms', () => {
    const mesh = cluster(16, { probeIntervalMs: 20, probeTimeoutMs: 100, gossipIntervalMs: 20, pushPullIntervalMs: 200 });
    for (let index = 1; index < 16; index++) {
      mesh.input(index, { kind: 'join', id: index, targets: [endpointOf(`n${index - 1}`)] });
      mesh.pass(2);
    }
    mesh.pass(250);
    expect(mesh.cores.map(core => core.stats().alive)).toEqual(Array.from({ length: 16 }, () => 16));
    expect(mesh.cores.map(core => core.stats().health)).toEqual(Array.from({ length: 16 }, () => 0));
  });
});

test('a push/pull tells a suspect as one, and an address in the bytes in which it came (TestTCPPushPull)', () => {
  const member = startMember();
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1);
  member.packet('n1', alive('n1', 3, { address: mapped }), alive('n2'), suspect('n1', 3));
  const [reply] = replies(member.input({ kind: 'stream-message', id: 1, from: endpointOf('n2'), message: pushPull([]) }));
  const told = reply?.message.kind === 'push-pull' ? reply.message.members.find(({ name }) => name === 'n1') : undefined;
  expect(told).toMatchObject({ state: 'suspect', incarnation: 3, address: mapped });
});

test('a join that the layer above vetoes fails, and nobody of it becomes a member (TestMemberlist_Join_Cancel)', () => {
  const member = startMember({}, { hooks: { admitMerge: () => false } });
  const [stream] = opened(member.input({ kind: 'join', id: 3, targets: [endpointOf('n1')] }));
  const outputs = member.input({ kind: 'stream-reply', id: stream?.id ?? 0, message: pushPull([pushed('n1')], { join: true }) });
  expect(events(outputs)).toMatchObject([{ kind: 'joined', contacted: 0, failed: [{ why: 'refused-merge' }] }]);
  expect(refusals(outputs)).toEqual(['vetoed']);
  expect(member.core.stats().members).toBe(1);
});

test('pings are numbered one by one (TestMemberList_NextSeq)', () => {
  const member = startMember();
  member.packet('n1', alive('n1'));
  const numbers = [1, 2, 3, 4, 5].flatMap(id =>
    sent(member.input({ kind: 'ping', id, node: 'n1' })).flatMap(({ messages }) =>
      messages.flatMap(message => (message.kind === 'ping' ? [message.sequence] : [])),
    ),
  );
  expect(numbers.map(number => number - (numbers[0] ?? 0))).toEqual([0, 1, 2, 3, 4]);
});

test('a shuffle keeps all and moves them (TestShuffleNodes)', () => {
  const before = Array.from({ length: 64 }, (_, at) => at);
  const after = [...before];
  shuffle(after, seeded(7));
  expect([...after].sort((one, other) => one - other)).toEqual(before);
  expect(after).not.toEqual(before);
});
