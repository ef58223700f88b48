/** Talks to a trap's machine as the driver does, on a clock of its own. */
import { parseAddress } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { MachineLimits, Observation, Outcome, ProtocolFactory, TrapContext, TrapMachine } from '#enforcer/traps/protocols/machine.ts';
import { createPersona, type Persona, SEED_BYTES } from '#enforcer/traps/protocols/persona.ts';

export const LIMITS: MachineLimits = { patienceMs: 3_000, sessionMs: 30_000, receivedBytes: 64 * 1024, sentBytes: 256 * 1024, messages: 512 };

const addressOf = (text: string) => {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(text);
  return address.value;
};

/** The persona of a seed of which all bytes are `byte`. */
export const personaOf = (byte: number): Persona => createPersona(new Uint8Array(SEED_BYTES).fill(byte));

/** A persona that satisfies `wanted`, the first by seed. */
export function personaWith(wanted: (persona: Persona) => boolean): Persona {
  for (let byte = 0; byte < 256; byte++) {
    const persona = personaOf(byte);
    if (wanted(persona)) return persona;
  }
  throw new Error('no seed of 256 gives such a persona');
}

export function contextOf(port: number, more: Partial<TrapContext> = {}): TrapContext {
  return {
    port,
    source: addressOf('203.0.113.7'),
    destination: addressOf('192.0.2.10'),
    persona: personaOf(1),
    random: Uint8Array.from({ length: 32 }, (_, at) => at * 7 + 1),
    acceptedAt: unixMs(Date.UTC(2026, 2, 4, 5, 6, 7)),
    limits: LIMITS,
    tls: false,
    ...more,
  };
}

export interface Talked {
  /** All that was answered after the greeting. */
  readonly answer: string;
  readonly greeting: string;
  readonly seen: readonly Observation[];
  readonly last: Outcome;
  readonly machine: TrapMachine;
}

const latin1 = (bytes: Uint8Array | undefined): string => (bytes === undefined ? '' : Buffer.from(bytes).toString('latin1'));

/** Sends each part by itself, 10 ms apart. */
export function talk(create: ProtocolFactory, context: TrapContext, parts: readonly (string | Uint8Array)[]): Talked {
  const machine = create(context);
  let nowMs = 1_000;
  let last = machine.open(nowMs);
  const greeting = latin1(last.send);
  const seen: Observation[] = [...last.observations];
  let answer = '';
  for (const part of parts) {
    nowMs += 10;
    last = machine.receive(typeof part === 'string' ? Buffer.from(part, 'latin1') : part, nowMs);
    answer += latin1(last.send);
    seen.push(...last.observations);
    if (last.close) break;
  }
  return { answer, greeting, seen, last, machine };
}

export interface Row {
  readonly name: string;
  readonly sent: readonly string[];
  /** All that is answered after the greeting: a text is a beginning of it. */
  readonly answered: string | RegExp;
  readonly saw: readonly Partial<Observation>[];
  readonly closed?: boolean;
}

/** Tests of a machine, one for each row. */
export function table(protocol: string, create: ProtocolFactory, port: number, persona: Persona, rows: readonly Row[]): void {
  describe(protocol, () => {
    test.each(rows)('$name', ({ sent, answered, saw, closed }) => {
      const { answer, seen, last } = talk(create, contextOf(port, { persona }), sent);
      if (typeof answered === 'string') expect(answer.slice(0, answered.length)).toBe(answered);
      else expect(answer).toMatch(answered);
      expect(seen).toMatchObject(saw);
      expect(last.close).toBe(closed ?? false);
    });
  });
}
