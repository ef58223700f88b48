/** What the traps observed, as sightings for the ledger: a completed handshake (E1) cannot be spoofed, hostile content (E2) is what was said in it, UDP is E0. */
import { escapeBytes, escapeText } from '@honeymesh/intel/escape';
import type { EventKind } from '@honeymesh/intel/events';
import { CONTENT_KINDS, type ContentKind, type Finding } from '@honeymesh/intel/findings';
import { mergeReasons, type Reason } from '@honeymesh/intel/reasons';
import type { Sighting } from '@honeymesh/intel/sightings';
import type { TrapObservation } from '../traps/messages.ts';

export type Observed<Kind extends TrapObservation['kind']> = Extract<TrapObservation, { kind: Kind }>;

const TOUCH: readonly Reason[] = ['trap-touch'];
const LONGEST_SHOWN = 80; // characters of a quote in a summary
const SHOWN_BYTES = 64;

export function touchSighting({ at, source, port, count, refused }: Observed<'touch'>): Sighting {
  const times = count > 1 ? ` (${count} times)` : '';
  const turned = refused > 0 ? `; ${refused === count ? 'turned away' : `${refused} of them turned away`} at the door: too many sessions are open` : '';
  return {
    at,
    source,
    kind: 'touch',
    tier: 'E1',
    reasons: TOUCH,
    origin: 'trap',
    port,
    protocol: 'tcp',
    summary: `connected to the trap on port ${port}${times}${turned}`,
    ...(count > 1 || refused > 0 ? { detail: { connections: count, ...(refused > 0 ? { refused } : {}) } } : {}),
  };
}

export function contentSighting({ at, source, port, protocol, findings }: Observed<'content'>): Sighting {
  return {
    at,
    source,
    kind: strongestKind(findings) ?? 'payload',
    tier: 'E2',
    reasons: reasonsOf(findings, []),
    origin: 'trap',
    port,
    protocol: 'tcp',
    summary: findingsText(findings, `the ${protocol} trap on port ${port}`),
    detail: { trap: protocol, findings },
  };
}

/** Nothing over UDP proves who sent it: recorded, never a ban. */
export function datagramSighting(observation: Observed<'datagram'>): Sighting {
  const { at, source, port, protocol, findings, head, receivedBytes, answered, count } = observation;
  const place = `the ${protocol} trap on UDP port ${port}`;
  const times = count > 1 ? ` (${count} datagrams)` : '';
  const words = findings.length > 0 ? findingsText(findings, place) : `sent ${receivedBytes} bytes to ${place}${saidText(head)}`;
  return {
    at,
    source,
    kind: strongestKind(findings) ?? 'payload',
    tier: 'E0',
    reasons: reasonsOf(findings, ['udp-scan']),
    origin: 'trap',
    port,
    protocol: 'udp',
    summary: `${words}${times}`,
    detail: { trap: protocol, head, receivedBytes, answered, datagrams: count, ...(findings.length > 0 ? { findings } : {}) },
  };
}

/** The kind that an event with these findings has, or undefined where nothing hostile was said. */
export function strongestKind(findings: readonly Finding[]): ContentKind | undefined {
  if (findings.length < 2) return findings[0]?.kind;
  return CONTENT_KINDS.find(kind => findings.some(finding => finding.kind === kind));
}

/** The reasons of findings, after those that hold anyway. */
export const reasonsOf = (findings: readonly Finding[], besides: readonly Reason[]): readonly Reason[] =>
  findings.length === 0
    ? besides
    : mergeReasons(
        besides,
        findings.map(finding => finding.reason),
      );

const DID: Readonly<Record<ContentKind, string>> = {
  exploit: 'tried an exploit on',
  command: 'gave commands to',
  credentials: 'guessed a password at',
  payload: 'sent what only attackers send to',
};

/** What the strongest finding says, in words: `tried an exploit on the redis trap on port 6379: redis-module (MODULE LOAD /tmp/x.so)`. */
export function findingsText(findings: readonly Finding[], place: string): string {
  const kind: EventKind | undefined = strongestKind(findings);
  // Of several the one that tells most: a default password rather than that one was guessed.
  const strongest = findings.filter(finding => finding.kind === kind).sort((one, other) => other.quote.length - one.quote.length)[0];
  if (kind === undefined || strongest === undefined) return `said nothing hostile to ${place}`;
  const rules = new Set(findings.map(finding => finding.rule));
  const others = rules.size > 1 ? ` and ${rules.size - 1} more` : '';
  return `${DID[strongest.kind]} ${place}: ${strongest.rule} (${escapeText(strongest.quote, LONGEST_SHOWN)})${others}`;
}

/** `: PING\r\n`, from the first bytes in base64. */
export function saidText(head: string): string {
  return head === '' ? '' : `: ${escapeBytes(Buffer.from(head, 'base64'), SHOWN_BYTES)}`;
}
