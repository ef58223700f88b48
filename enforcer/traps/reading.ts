/** What the trap process reports, checked piece by piece: each text, each list, each name of a closed list. Never throws. */
import { parseAddress } from '@honeymesh/intel/address';
import { CONTENT_KINDS, type Finding, LONGEST_QUOTE, LONGEST_RULE } from '@honeymesh/intel/findings';
import { REASONS } from '@honeymesh/intel/reasons';
import { unixMs } from '@honeymesh/intel/time';
import type { TrapObservation } from './messages.ts';
import {
  type Credential,
  type Fingerprint,
  jsonBytes,
  LONGEST_HEAD,
  LONGEST_NAME,
  LONGEST_TEXT,
  MOST_CREDENTIALS,
  MOST_FINDINGS,
  MOST_FINGERPRINTS,
  MOST_LINES,
  MOST_TEXT_BYTES,
  type Receipt,
  SESSION_ENDS,
  TRANSCRIPT_KINDS,
  type TranscriptLine,
} from './receipts.ts';

export const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
export const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const RULE = new RegExp(`^[a-z0-9-]{1,${LONGEST_RULE}}$`);
const PROTOCOL = /^[a-z0-9-]{1,32}$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const LONGEST_BASE64 = Math.ceil(LONGEST_HEAD / 3) * 4;

/** What is left of the texts that one observation may have. */
interface Allowance {
  bytes: number;
}

export function readObservation(item: unknown): TrapObservation | undefined {
  if (!isRecord(item) || !isCount(item.at) || !isCount(item.port) || item.port > 65535 || typeof item.source !== 'string') return undefined;
  const source = parseAddress(item.source);
  if (!source.ok) return undefined;
  const at = unixMs(item.at);
  const { port } = item;
  if (item.kind === 'touch') {
    const { count, refused } = item;
    if (!isCount(count) || !isCount(refused) || count < 1 || refused > count) return undefined;
    return { kind: 'touch', at, source: source.value, port, count, refused };
  }
  const { protocol } = item;
  if (typeof protocol !== 'string' || !PROTOCOL.test(protocol)) return undefined;
  const allowance: Allowance = { bytes: MOST_TEXT_BYTES };
  if (item.kind === 'ended') {
    const receipt = readReceipt(item.receipt, allowance);
    if (receipt === undefined || !isCount(item.open)) return undefined;
    return { kind: 'ended', at, source: source.value, port, protocol, receipt, open: item.open };
  }
  const findings = readList(item.findings, MOST_FINDINGS, allowance, readFinding);
  if (findings === undefined) return undefined;
  if (item.kind === 'content') return findings.length === 0 ? undefined : { kind: 'content', at, source: source.value, port, protocol, findings };
  const { head, receivedBytes, answered, count } = item;
  if (item.kind !== 'datagram' || !isHead(head) || !isCount(receivedBytes) || typeof answered !== 'boolean' || !isCount(count) || count < 1) return undefined;
  return { kind: 'datagram', at, source: source.value, port, protocol, findings, head, receivedBytes, answered, count };
}

function readReceipt(value: unknown, allowance: Allowance): Receipt | undefined {
  if (!isRecord(value)) return undefined;
  const { head, receivedBytes, sentBytes, durationMs, omitted } = value;
  const end = SESSION_ENDS.find(known => known === value.end);
  if (end === undefined || !isHead(head) || !isCount(receivedBytes) || !isCount(sentBytes) || !isCount(durationMs) || !isCount(omitted)) return undefined;
  const findings = readList(value.findings, MOST_FINDINGS, allowance, readFinding);
  const credentials = readList(value.credentials, MOST_CREDENTIALS, allowance, readCredential);
  const fingerprints = readList(value.fingerprints, MOST_FINGERPRINTS, allowance, readFingerprint);
  const transcript = readList(value.transcript, MOST_LINES, allowance, readLine);
  if (findings === undefined || credentials === undefined || fingerprints === undefined || transcript === undefined) return undefined;
  return { head, receivedBytes, sentBytes, durationMs, end, findings, credentials, fingerprints, transcript, omitted };
}

function readFinding(item: Record<string, unknown>, allowance: Allowance): Finding | undefined {
  const { rule, quote } = item;
  const reason = REASON_NAMES.get(item.reason);
  const kind = CONTENT_KINDS.find(known => known === item.kind);
  if (typeof rule !== 'string' || !RULE.test(rule) || reason === undefined || kind === undefined) return undefined;
  allowance.bytes -= rule.length;
  return isText(quote, LONGEST_QUOTE, allowance) ? { rule, reason, kind, quote } : undefined;
}

function readCredential(item: Record<string, unknown>, allowance: Allowance): Credential | undefined {
  const { user, secret, scheme } = item;
  if (!isText(user, LONGEST_TEXT, allowance) || !isText(secret, LONGEST_TEXT, allowance)) return undefined;
  if (scheme === undefined) return { user, secret };
  return isText(scheme, LONGEST_NAME, allowance) ? { user, secret, scheme } : undefined;
}

function readFingerprint(item: Record<string, unknown>, allowance: Allowance): Fingerprint | undefined {
  const { name, value } = item;
  return isText(name, LONGEST_NAME, allowance) && isText(value, LONGEST_TEXT, allowance) ? { name, value } : undefined;
}

function readLine(item: Record<string, unknown>, allowance: Allowance): TranscriptLine | undefined {
  const { atMs, text } = item;
  const kind = TRANSCRIPT_KINDS.find(known => known === item.kind);
  return kind !== undefined && isCount(atMs) && isText(text, LONGEST_TEXT, allowance) ? { atMs, kind, text } : undefined;
}

const REASON_NAMES: ReadonlyMap<unknown, (typeof REASONS)[number]['name']> = new Map(REASONS.map(({ name }) => [name, name]));
const NOTHING: readonly never[] = [];

function readList<T>(
  items: unknown,
  most: number,
  allowance: Allowance,
  read: (item: Record<string, unknown>, allowance: Allowance) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(items) || items.length > most) return undefined;
  if (items.length === 0) return NOTHING;
  const values: T[] = [];
  for (const item of items) {
    const value = isRecord(item) ? read(item, allowance) : undefined;
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

function isText(value: unknown, longest: number, allowance: Allowance): value is string {
  if (typeof value !== 'string' || value.length > longest) return false;
  allowance.bytes -= jsonBytes(value);
  return allowance.bytes >= 0;
}

const isHead = (value: unknown): value is string => typeof value === 'string' && value.length <= LONGEST_BASE64 && BASE64.test(value);
