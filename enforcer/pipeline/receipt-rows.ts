/** Receipts read back from the log. The file can be changed by anyone, so what is no receipt, or no part of one, is left out. */
import type { StoredEvent } from '@honeymesh/intel/events';
import { CONTENT_KINDS, type Finding } from '@honeymesh/intel/findings';
import { REASONS } from '@honeymesh/intel/reasons';
import { rfc3339 } from '@honeymesh/intel/time';
import type { ReceiptRow } from '../control/operations.ts';
import type { Credential, Fingerprint, TranscriptLine } from '../traps/receipts.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The receipt of a trap session's event; nothing for other events. Never throws. */
export function receiptRows(event: StoredEvent): readonly ReceiptRow[] {
  const { detail } = event;
  if (event.origin !== 'trap' || detail === undefined || !isText(detail.trap) || !isText(detail.head) || !isText(detail.end)) return [];
  const findings = listOf(detail.findings, asFinding);
  return [
    {
      event: event.id,
      at: rfc3339(event.at),
      port: event.port,
      trap: detail.trap,
      kind: event.kind,
      rules: [...new Set(findings.map(finding => finding.rule))],
      head: detail.head,
      receivedBytes: numberOf(detail.receivedBytes),
      sentBytes: numberOf(detail.sentBytes),
      durationMs: numberOf(detail.durationMs),
      end: detail.end,
      findings,
      credentials: listOf(detail.credentials, asCredential),
      fingerprints: listOf(detail.fingerprints, asFingerprint),
      transcript: listOf(detail.transcript, asLine),
      omitted: numberOf(detail.omitted),
    },
  ];
}

const isText = (value: unknown): value is string => typeof value === 'string';
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);

function listOf<T>(value: unknown, read: (fields: Fields) => T | undefined): readonly T[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap(item => {
    const one = typeof item === 'object' && item !== null ? read(item as Fields) : undefined;
    return one === undefined ? [] : [one];
  });
}

function asFinding({ rule, reason, kind, quote }: Fields): Finding | undefined {
  const knownReason = REASONS.find(known => known.name === reason)?.name;
  const knownKind = CONTENT_KINDS.find(known => known === kind);
  return isText(rule) && isText(quote) && knownReason !== undefined && knownKind !== undefined
    ? { rule, reason: knownReason, kind: knownKind, quote }
    : undefined;
}

const asCredential = ({ user, secret, scheme }: Fields): Credential | undefined =>
  isText(user) && isText(secret) ? { user, secret, ...(isText(scheme) ? { scheme } : {}) } : undefined;

const asFingerprint = ({ name, value }: Fields): Fingerprint | undefined => (isText(name) && isText(value) ? { name, value } : undefined);

/** `kind` is one of the closed list, or another version's: it is shown as it is. */
const asLine = ({ atMs, kind, text }: Fields): TranscriptLine | undefined =>
  typeof atMs === 'number' && isText(kind) && isText(text) ? { atMs, kind: kind as TranscriptLine['kind'], text } : undefined;
