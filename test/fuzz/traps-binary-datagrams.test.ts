/** Responders and parsers under noise and spoilt questions: no throw, no reply larger than its question. */
import { describe, expect, test } from 'vitest';
import { berElements } from '#enforcer/traps/protocols/ber.ts';
import { parseBson } from '#enforcer/traps/protocols/bson.ts';
import { fromHex } from '#enforcer/traps/protocols/bytes.ts';
import { readClientHello } from '#enforcer/traps/protocols/client-hello.ts';
import { hassh } from '#enforcer/traps/protocols/hassh.ts';
import { ja4 } from '#enforcer/traps/protocols/ja4.ts';
import { readKexInit } from '#enforcer/traps/protocols/kexinit.ts';
import { respondToDatagram, UDP_PROTOCOLS } from '#enforcer/traps/protocols/udp/registry.ts';
import { datagramContext } from '#test/support/binary-traps.ts';
import { diceOf, mutated, noise } from '#test/support/mutations.ts';
import { CONVERSATIONS, DATAGRAMS, OPENSSH_KEXINIT, PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';

const INPUTS = process.env.HONEYMESH_NIGHTLY === '1' ? 1_000_000 : 4_000;
const SEED = Number(process.env.HONEYMESH_SEED ?? 20_240_601);
const QUESTIONS = Object.values(DATAGRAMS)
  .flat()
  .map(question => fromHex(question));

describe.each(UDP_PROTOCOLS.map(protocol => [protocol.name, protocol] as const))('%s', (name, protocol) => {
  const own = (DATAGRAMS[name] ?? []).map(question => fromHex(question));

  test(`answers ${INPUTS} hostile datagrams with no more than was asked`, () => {
    const dice = diceOf(SEED);
    const context = datagramContext({ port: protocol.ports[0] ?? 0 });
    for (let input = 0; input < INPUTS; input++) {
      const any = QUESTIONS[dice.below(QUESTIONS.length)] ?? new Uint8Array(0);
      const question = input % 4 === 0 ? noise(dice, 200) : mutated(dice, own[dice.below(own.length)] ?? any, any);
      protocol.recognise(question);
      const direct = protocol.respond(question, context);
      const { reply, observations } = respondToDatagram(question, context);
      if ((direct.reply?.length ?? 0) > question.length || (reply?.length ?? 0) > question.length)
        expect.fail(`amplified: ${Buffer.from(question).toString('hex')}`);
      if (observations.length > 4) expect.fail(`too much seen: ${Buffer.from(question).toString('hex')}`);
    }
  });
});

describe.each([
  [
    'a ClientHello',
    PSQL_CLIENT_HELLO,
    (bytes: Uint8Array) => readClientHello(bytes).ok && ja4((readClientHello(bytes) as Extract<ReturnType<typeof readClientHello>, { ok: true }>).value),
  ],
  [
    'a KEXINIT',
    OPENSSH_KEXINIT,
    (bytes: Uint8Array) => {
      const read = readKexInit(bytes);
      return read.ok && hassh(read.value);
    },
  ],
  ['BSON', (CONVERSATIONS.mongodb?.[0] ?? '').slice(42), (bytes: Uint8Array) => parseBson(bytes)],
  ['BER', CONVERSATIONS.ldap?.[0] ?? '', (bytes: Uint8Array) => berElements(bytes).map(({ content }) => berElements(content))],
] as const)('%s', (_, example, parse) => {
  const whole = fromHex(example);

  test(`is read from ${INPUTS} hostile inputs without a throw`, () => {
    const dice = diceOf(SEED);
    for (let input = 0; input < INPUTS; input++) parse(input % 4 === 0 ? noise(dice, 100) : mutated(dice, whole, whole));
  });
});
