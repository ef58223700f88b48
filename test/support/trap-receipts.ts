/** Receipts and observations as the trap process makes them, for tests; and any of them, for property tests. */

import { fc } from '@fast-check/vitest';
import type { Address } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import type { TrapObservation } from '#enforcer/traps/messages.ts';
import type { Observation } from '#enforcer/traps/protocols/observation.ts';
import type { Receipt } from '#enforcer/traps/receipts.ts';

type Of<Kind extends TrapObservation['kind']> = Extract<TrapObservation, { kind: Kind }>;

export const SOURCE = '192.0.2.1' as Address;

export const receiptOf = (parts: Partial<Receipt> = {}): Receipt => ({
  head: '',
  receivedBytes: 0,
  sentBytes: 0,
  durationMs: 0,
  end: 'peer',
  findings: [],
  credentials: [],
  fingerprints: [],
  transcript: [],
  omitted: 0,
  ...parts,
});

export const touchOf = (source: string, parts: Partial<Of<'touch'>> = {}): Of<'touch'> => ({
  kind: 'touch',
  at: unixMs(1),
  source: source as Address,
  port: 22,
  count: 1,
  refused: 0,
  ...parts,
});

export const endedOf = (source: string, parts: Partial<Of<'ended'>> = {}): Of<'ended'> => ({
  kind: 'ended',
  at: unixMs(2),
  source: source as Address,
  port: 22,
  protocol: 'ssh',
  receipt: receiptOf(),
  open: 0,
  ...parts,
});

/** Any text of bytes, control characters and quotes among them. */
export const hostileText = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength, size: 'max' }).map(bytes => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'));

/** Any observation of a machine, of the lengths that machines keep to. */
export const anyObservation: fc.Arbitrary<Observation> = fc.oneof(
  fc.record({ kind: fc.constant('too-much' as const), receivedBytes: fc.nat() }),
  fc.record({ kind: fc.constant('deadline' as const) }),
  fc.record(
    { kind: fc.constant('credentials' as const), user: hostileText(256), secret: hostileText(256), scheme: fc.constantFrom('md5-challenge', 'ntlmv2') },
    { requiredKeys: ['kind', 'user', 'secret'] },
  ),
  fc.record({ kind: fc.constant('command' as const), line: hostileText(1024) }),
  fc.record({
    kind: fc.constant('request' as const),
    method: hostileText(32),
    target: hostileText(2048),
    headers: fc.array(fc.tuple(hostileText(64), hostileText(512)), { maxLength: 32 }),
  }),
  fc.record({ kind: fc.constant('payload' as const), name: hostileText(64), content: hostileText(4096), bytes: fc.nat() }),
  fc.record({ kind: fc.constant('fingerprint' as const), name: hostileText(64), value: hostileText(1024) }),
  fc.record({ kind: fc.constant('malformed' as const), why: fc.constantFrom('broken body', 'not RESP') }),
);
