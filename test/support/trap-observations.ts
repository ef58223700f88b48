/** What the trap process reports, for tests: touches, contents, sessions that ended, datagrams. */
import type { Address } from '@honeymesh/intel/address';
import type { Finding } from '@honeymesh/intel/findings';
import type { UnixMs } from '@honeymesh/intel/time';
import type { TrapObservation } from '#enforcer/traps/messages.ts';
import type { Receipt } from '#enforcer/traps/receipts.ts';

type Of<Kind extends TrapObservation['kind']> = Extract<TrapObservation, { kind: Kind }>;

export const exploit: Finding = { rule: 'redis-module-load', reason: 'exploit', kind: 'exploit', quote: 'MODULE LOAD /tmp/x.so' };
export const guess: Finding = { rule: 'default-credentials', reason: 'default-credentials', kind: 'credentials', quote: 'root:123456' };

export const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

export const receiptOf = (more: Partial<Receipt> = {}): Receipt => ({
  head: '',
  receivedBytes: 0,
  sentBytes: 20,
  durationMs: 3_002,
  end: 'deadline',
  findings: [],
  credentials: [],
  fingerprints: [],
  transcript: [],
  omitted: 0,
  ...more,
});

export const trapTouch = (source: string, at: UnixMs, port = 22, more: Partial<Of<'touch'>> = {}): Of<'touch'> => ({
  kind: 'touch',
  at,
  source: source as Address,
  port,
  count: 1,
  refused: 0,
  ...more,
});

export const trapContent = (source: string, at: UnixMs, findings: readonly Finding[] = [exploit], port = 6379, protocol = 'redis'): Of<'content'> => ({
  kind: 'content',
  at,
  source: source as Address,
  port,
  protocol,
  findings,
});

export const trapEnded = (source: string, at: UnixMs, receipt: Partial<Receipt> = {}, more: Partial<Of<'ended'>> = {}): Of<'ended'> => ({
  kind: 'ended',
  at,
  source: source as Address,
  port: 22,
  protocol: 'ssh',
  receipt: receiptOf(receipt),
  open: 0,
  ...more,
});

export const trapDatagram = (source: string, at: UnixMs, more: Partial<Of<'datagram'>> = {}): Of<'datagram'> => ({
  kind: 'datagram',
  at,
  source: source as Address,
  port: 161,
  protocol: 'snmp',
  findings: [],
  head: base64('0&'),
  receivedBytes: 40,
  answered: true,
  count: 1,
  ...more,
});
