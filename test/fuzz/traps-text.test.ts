/**
 * Hostile bytes against every machine of the registry: random ones, and real conversations mutated and cut. No throw, nothing beyond the bounds, an end.
 * HONEYMESH_NIGHTLY=1: a million inputs for each protocol.
 */
import { describe, expect, test } from 'vitest';
import type { MachineLimits, Outcome, TrapProtocol } from '#enforcer/traps/protocols/machine.ts';
import {
  LONGEST_CREDENTIAL,
  LONGEST_LINE,
  LONGEST_PAYLOAD,
  LONGEST_TARGET,
  MOST_HEADERS,
  MOST_OBSERVATIONS,
  type Observation,
} from '#enforcer/traps/protocols/observation.ts';
import { createProtocolTrap } from '#enforcer/traps/protocols/registry.ts';
import { TEXT_PROTOCOLS } from '#enforcer/traps/protocols/registry-text.ts';
import { conversations, createDice, mutated } from '#test/support/trap-fuzz.ts';
import { contextOf, personaOf } from '#test/support/trap-talk.ts';

const NIGHTLY = process.env.HONEYMESH_NIGHTLY === '1';
const INPUTS = NIGHTLY ? 1_000_000 : 3_000;
const LIMITS: MachineLimits = { patienceMs: 3_000, sessionMs: 20_000, receivedBytes: 20_000, sentBytes: 40_000, messages: 64 };
const SLACK = 16 * 1024; // a machine may answer the message that crosses a bound
const PERSONAS = [1, 2, 3, 4, 5, 6, 7, 8].map(personaOf);
const CONVERSATIONS = conversations();

const elsewhere: TrapProtocol = { name: 'any port', ports: [31337], create: createProtocolTrap };

describe.each([...TEXT_PROTOCOLS, elsewhere].map(protocol => [protocol.name, protocol] as const))('%s', (_name, protocol) => {
  test(`stands ${INPUTS} inputs`, () => {
    const own = CONVERSATIONS.filter(({ protocol: name }) => name === protocol.name);
    const dice = createDice(0x5eed ^ protocol.name.length ^ (protocol.ports[0] ?? 0));
    for (let input = 0; input < INPUTS; input++) {
      const seed = dice.state();
      const choice = own.length > 0 && dice.below(3) > 0 ? own : CONVERSATIONS;
      const sent = mutated(choice[dice.below(choice.length)]?.parts ?? [], dice);
      try {
        play(protocol, sent, dice.below(PERSONAS.length), dice.below(2) === 0);
      } catch (error) {
        throw new Error(`seed ${seed}: ${JSON.stringify(sent.map(part => part.toString('latin1'))).slice(0, 2_000)}`, { cause: error });
      }
    }
  });
});

function play(protocol: TrapProtocol, sent: readonly Buffer[], who: number, tls: boolean): void {
  const machine = protocol.create(contextOf(protocol.ports[0] ?? 1, { persona: PERSONAS[who] ?? personaOf(1), limits: LIMITS, tls }));
  let nowMs = 0;
  let sentBytes = 0;
  let observations = 0;
  let outcome: Outcome = machine.open(nowMs);
  const check = (): void => {
    sentBytes += outcome.send?.length ?? 0;
    observations += outcome.observations.length;
    for (const seen of outcome.observations) checkBounded(seen);
    if (!outcome.close && (outcome.wakeAtMs === 'never' || outcome.wakeAtMs > nowMs + LIMITS.patienceMs)) throw new Error('it would listen for ever');
  };
  check();
  for (const part of sent) {
    if (outcome.close) break;
    nowMs += 40;
    outcome = machine.receive(part, nowMs);
    check();
    if (outcome.startTls === true) outcome = machine.secured?.(nowMs) ?? outcome;
  }
  while (!outcome.close && outcome.wakeAtMs !== 'never') {
    nowMs = Math.max(nowMs + 1, outcome.wakeAtMs);
    outcome = machine.expire(nowMs);
    check();
    if (nowMs > LIMITS.sessionMs + 10_000) throw new Error('it does not end');
  }
  if (sentBytes > LIMITS.sentBytes + SLACK) throw new Error(`sent ${sentBytes} bytes`);
  if (observations > MOST_OBSERVATIONS + LIMITS.messages) throw new Error(`told ${observations} things`);
  if (!machine.receive(Buffer.from('x'), nowMs + 1).close) throw new Error('it opened again');
}

function checkBounded(seen: Observation): void {
  const longest = Math.max(LONGEST_PAYLOAD, LONGEST_TARGET, LONGEST_LINE, LONGEST_CREDENTIAL) + 1_024 * MOST_HEADERS;
  const text = JSON.stringify(seen);
  if (text.length > longest * 6) throw new Error(`an observation of ${text.length} characters`);
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) throw new Error('a text that is not one character a byte');
}

test('the bounds are checked: a machine that breaks them is caught', () => {
  const endless: TrapProtocol = {
    name: 'endless',
    ports: [1],
    create: () => {
      const outcome: Outcome = { observations: [], wakeAtMs: 1e9, close: false };
      return { protocol: 'endless', open: () => outcome, receive: () => outcome, expire: () => outcome };
    },
  };
  expect(() => play(endless, [Buffer.from('a')], 0, false)).toThrow('for ever');
});
