/** What the tests of binary trap protocols stand on: a context of fixed bytes, and a conversation by hand. */
import { type Address, parseAddress } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { fromHex } from '#enforcer/traps/protocols/bytes.ts';
import type { Observation, Outcome, TrapContext, TrapMachine, TrapProtocol } from '#enforcer/traps/protocols/machine.ts';
import { createPersona, type Persona } from '#enforcer/traps/protocols/persona.ts';
import type { DatagramContext } from '#enforcer/traps/protocols/udp/responder.ts';

export function address(text: string): Address {
  const read = parseAddress(text);
  if (!read.ok) throw new Error(`not an address: ${text}`);
  return read.value;
}

/** The first persona that `suits`, of seeds counted up. */
export function personaWith(suits: (persona: Persona) => boolean): Persona {
  for (let seed = 0; seed < 1000; seed++) {
    const persona = createPersona(Uint8Array.from({ length: 32 }, (_, at) => (seed >> (8 * (at % 2))) & 0xff));
    if (suits(persona)) return persona;
  }
  throw new Error('no persona suits');
}

export const BOOKWORM = personaWith(({ release }) => release.name.includes('bookworm'));
export const RANDOM = Uint8Array.from({ length: 32 }, (_, at) => at + 1);
export const NOON = unixMs(1_700_000_000_000);

export function trapContext(changes: Partial<TrapContext> = {}): TrapContext {
  return {
    port: 0,
    source: address('198.51.100.7'),
    destination: address('203.0.113.5'),
    persona: BOOKWORM,
    random: RANDOM,
    acceptedAt: NOON,
    limits: { patienceMs: 3_000, sessionMs: 60_000, receivedBytes: 65_536, sentBytes: 65_536, messages: 100 },
    tls: false,
    ...changes,
  };
}

export function datagramContext(changes: Partial<DatagramContext> = {}): DatagramContext {
  return {
    port: 0,
    source: address('198.51.100.7'),
    sourcePort: 40_000,
    destination: address('203.0.113.5'),
    persona: BOOKWORM,
    random: RANDOM,
    receivedAt: NOON,
    ...changes,
  };
}

export interface Conversation {
  readonly machine: TrapMachine;
  readonly opened: Outcome;
  /** Says bytes (hexadecimal, spaces allowed) at the given time and returns what comes of it. */
  say(bytes: string | Uint8Array, nowMs?: number): Outcome;
  /** All that was seen since the opening. */
  readonly seen: Observation[];
}

export function converse(protocol: TrapProtocol, changes: Partial<TrapContext> = {}): Conversation {
  const machine = protocol.create(trapContext({ port: protocol.ports[0] ?? 0, ...changes }));
  const opened = machine.open(0);
  const seen: Observation[] = [...opened.observations];
  return {
    machine,
    opened,
    seen,
    say(bytes, nowMs = 10) {
      const outcome = machine.receive(typeof bytes === 'string' ? fromHex(bytes) : bytes, nowMs);
      seen.push(...outcome.observations);
      return outcome;
    },
  };
}

export const sentHex = ({ send }: Outcome): string => Buffer.from(send ?? []).toString('hex');
export const sentText = ({ send }: Outcome): string => Buffer.from(send ?? []).toString('latin1');
/** With each NUL as a bar: expressions with control characters in them are hard to read. */
export const sentFields = (outcome: Outcome): string => sentText(outcome).replaceAll('\0', '|');
