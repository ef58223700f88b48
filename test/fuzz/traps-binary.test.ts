/** Each machine of a binary protocol under noise and spoilt conversations: it never throws, and what it says and sees stays bounded. */
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { fromHex } from '#enforcer/traps/protocols/bytes.ts';
import type { Observation, Outcome, TrapProtocol } from '#enforcer/traps/protocols/machine.ts';
import { LONGEST_PAYLOAD, MOST_OBSERVATIONS } from '#enforcer/traps/protocols/observation.ts';
import { BINARY_PROTOCOLS } from '#enforcer/traps/protocols/registry-binary.ts';
import { trapContext } from '#test/support/binary-traps.ts';
import { type Dice, diceOf, mutated, noise } from '#test/support/mutations.ts';
import { CONVERSATIONS, PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const INPUTS = process.env.HONEYMESH_NIGHTLY === '1' ? 1_000_000 : 4_000;
const SEED = Number(process.env.HONEYMESH_SEED ?? 20_240_601);
const SESSIONS = 1_000;
const LIMITS = { patienceMs: 3_000, sessionMs: 60_000, receivedBytes: 32_768, sentBytes: 16_384, messages: 50 };

/** Every text of an observation: one character for each byte, and no longer than is kept. */
function bounded(observation: Observation): boolean {
  const texts = Object.values(observation).flat(2) as unknown[];
  return texts.every(text => typeof text !== 'string' || (text.length <= LONGEST_PAYLOAD && isLatin1(text)));
}

function isLatin1(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return false;
  return true;
}

function attack(protocol: TrapProtocol, dice: Dice, conversation: readonly Uint8Array[], hello: Uint8Array): void {
  const tls = dice.below(2) === 0;
  const machine = protocol.create(trapContext({ limits: LIMITS, tls }));
  let [sent, seen, nowMs] = [0, 0, 0];
  const follow = (outcome: Outcome): boolean => {
    sent += outcome.send?.length ?? 0;
    seen += outcome.observations.length;
    if (!outcome.observations.every(bounded)) expect.fail(`unbounded: ${JSON.stringify(outcome.observations).slice(0, 500)}`);
    if (!outcome.close && outcome.wakeAtMs === 'never') expect.fail('neither closed nor to be woken');
    return !outcome.close;
  };
  let open = follow(machine.open(nowMs));
  for (let turn = 0; open && turn < 8; turn++) {
    const part = conversation[dice.below(4) === 0 ? dice.below(conversation.length) : turn % conversation.length] ?? hello;
    const kind = dice.below(8);
    const bytes =
      kind === 0 ? noise(dice, 64) : kind === 1 ? hello : kind < 5 ? part : mutated(dice, part, conversation[dice.below(conversation.length)] ?? hello);
    nowMs += dice.below(400);
    const outcome = machine.receive(bytes, nowMs);
    open = follow(outcome);
    if (open && outcome.startTls === true) open = follow(machine.secured?.(nowMs) ?? outcome);
  }
  if (open) follow(machine.expire(nowMs + 60_000));
  if (sent > LIMITS.sentBytes || seen > MOST_OBSERVATIONS + 1) expect.fail(`sent ${sent} bytes, saw ${seen}`);
}

describe.each(BINARY_PROTOCOLS.map(protocol => [protocol.name, protocol] as const))('%s', (name, protocol) => {
  const conversation = (CONVERSATIONS[name] ?? []).map(message => fromHex(message));
  const hello = fromHex(PSQL_CLIENT_HELLO);

  test(`stands ${INPUTS} hostile sessions`, () => {
    for (let input = 0; input < INPUTS; input++) {
      const dice = diceOf(SEED + Math.imul(input, 0x9e37_79b1));
      try {
        attack(protocol, dice, conversation, hello);
      } catch (error) {
        throw new Error(`input ${input} of seed ${SEED}`, { cause: error });
      }
    }
  });

  test('keeps little of a session that waits, nothing of what was answered', async () => {
    const before = await settledBytes();
    const waiting = Array.from({ length: SESSIONS }, (_, session) => {
      const machine = protocol.create(trapContext({ limits: LIMITS }));
      machine.open(0);
      // A chunk of its own, as a socket gives it: whoever keeps a view of it keeps all of it.
      machine.receive(Buffer.concat([conversation[0] ?? hello, Buffer.alloc(16_384)]).subarray(0, (conversation[0] ?? hello).length - (session % 2)), 1);
      return machine;
    });
    const each = ((await settledBytes()) - before) / waiting.length;
    expect(each).toBeLessThan(6 * 1024);
  });

  test('recognises without a throw', () => {
    const dice = diceOf(SEED);
    for (let input = 0; input < INPUTS; input++) protocol.recognise?.(input % 2 === 0 ? noise(dice, 40) : mutated(dice, conversation[0] ?? hello, hello));
  });
});

/** Heap and buffers in use; the memory of buffers is given back some time after the collection. */
async function settledBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collect();
    await setTimeout(30);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
