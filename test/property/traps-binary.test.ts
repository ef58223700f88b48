import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { fromHex } from '#enforcer/traps/protocols/bytes.ts';
import type { Observation, TrapProtocol } from '#enforcer/traps/protocols/machine.ts';
import { BINARY_PROTOCOLS } from '#enforcer/traps/protocols/registry-binary.ts';
import { respondToDatagram, UDP_PROTOCOLS } from '#enforcer/traps/protocols/udp/registry.ts';
import { datagramContext, trapContext } from '#test/support/binary-traps.ts';
import { CONVERSATIONS, DATAGRAMS } from '#test/support/real-client-bytes.ts';

interface Told {
  readonly sent: string;
  readonly seen: readonly Observation[];
  readonly closed: boolean;
}

function tellIn(protocol: TrapProtocol, chunks: readonly Uint8Array[]): Told {
  const machine = protocol.create(trapContext());
  const outcomes = [machine.open(0)];
  for (const chunk of chunks) if (outcomes.at(-1)?.close === false) outcomes.push(machine.receive(chunk, 1));
  return {
    sent: outcomes.map(({ send }) => Buffer.from(send ?? []).toString('hex')).join(''),
    seen: outcomes.flatMap(({ observations }) => observations),
    closed: outcomes.at(-1)?.close ?? false,
  };
}

describe.each(BINARY_PROTOCOLS.map(protocol => [protocol.name, protocol] as const))('%s', (name, protocol) => {
  const messages = (CONVERSATIONS[name] ?? []).map(message => fromHex(message));
  const whole = Buffer.concat(messages);

  test.prop([fc.array(fc.nat(whole.length), { maxLength: 12 })])('says and sees the same however TCP cuts what comes', cuts => {
    const places = [0, ...cuts.toSorted((one, other) => one - other), whole.length];
    const chunks = places.slice(1).map((end, at) => whole.subarray(places[at] ?? 0, end));
    expect(tellIn(protocol, chunks)).toEqual(tellIn(protocol, messages));
  });

  test('has a conversation here that ends in a log-in', () => {
    expect(tellIn(protocol, messages).seen.some(({ kind }) => kind === 'credentials')).toBe(true);
  });
});

const datagram = fc.oneof(
  fc.uint8Array({ maxLength: 600 }),
  fc
    .tuple(fc.constantFrom(...Object.values(DATAGRAMS).flat()), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }), fc.nat(200))
    .map(([question, changes, padding]) => {
      const bytes = new Uint8Array(question.length / 2 + padding);
      bytes.set(fromHex(question));
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
      return bytes;
    }),
);
const port = fc.constantFrom(...UDP_PROTOCOLS.flatMap(({ ports }) => ports), 4444);

describe('UDP', () => {
  test.prop([datagram, port], { numRuns: 3_000 })('a reply is never larger than its question', (question, at) => {
    const { reply } = respondToDatagram(question, datagramContext({ port: at }));
    expect(reply?.length ?? 0).toBeLessThanOrEqual(question.length);
  });

  test.prop([datagram, port], { numRuns: 1_000 })('each responder keeps to that by itself', (question, at) => {
    for (const protocol of UDP_PROTOCOLS)
      expect(protocol.respond(question, datagramContext({ port: at })).reply?.length ?? 0).toBeLessThanOrEqual(question.length);
  });

  test.prop([datagram, port, port], { numRuns: 3_000 })('two traps that a forged source sets on each other fall silent', (question, one, other) => {
    let message: Uint8Array | undefined = question;
    let turns = 0;
    for (; message !== undefined && turns < 8; turns++) message = respondToDatagram(message, datagramContext({ port: turns % 2 === 0 ? one : other })).reply;
    expect(turns).toBeLessThan(8);
  });

  test.each(Object.entries(DATAGRAMS).flatMap(([name, questions]) => questions.map(question => [name, question] as const)))(
    '%s: a reply gets no reply at its own port',
    (name, question) => {
      const protocol = UDP_PROTOCOLS.find(known => known.name === name);
      const padded = Buffer.concat([fromHex(question), Buffer.alloc(400)]);
      const first = protocol?.respond(padded, datagramContext()).reply;
      if (first !== undefined) expect(protocol?.respond(Buffer.concat([first, Buffer.alloc(400)]), datagramContext()).reply).toBeUndefined();
    },
  );
});
