/** A trap session for people: who spoke which protocol, what gave it away, and what was said, escaped. */
import { escapeBytes, escapeText } from '@honeymesh/intel/escape';
import { formatDuration } from '@honeymesh/intel/time';
import type { ReceiptRow } from '../control/operations.ts';
import { printable } from './terminal.ts';

const LONGEST_TEXT = 400;
const SHOWN_BYTES = 256;

export function receiptText(receipt: ReceiptRow): string {
  const { credentials, findings, fingerprints, transcript, head, omitted } = receipt;
  const rows: (readonly [string, string])[] = [
    ...fingerprints.map(({ name, value }) => ['fingerprint', `${escaped(name)} ${escaped(value)}`] as const),
    ...findings.map(({ rule, reason, quote }) => ['rule', `${rule} (${reason}): ${escaped(quote)}`] as const),
    ...credentials.map(({ user, secret, scheme }) => ['tried', `${escaped(user)} : ${escaped(secret)}${scheme === undefined ? '' : ` (${scheme})`}`] as const),
    ...transcript.map(({ atMs, kind, text }) => ['said', `${(atMs / 1000).toFixed(3)}s ${kind}: ${escaped(text)}`] as const),
    ...(head === '' ? [] : [['first bytes', escapeBytes(Buffer.from(head, 'base64'), SHOWN_BYTES)] as const]),
    ...(omitted === 0 ? [] : [['left out', `${omitted} more, for want of room`] as const]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length), 0);
  return [headLine(receipt), ...rows.map(([name, text]) => `    ${name.padEnd(width)}  ${printable(text)}\n`)].join('');
}

function headLine({ at, trap, port, receivedBytes, sentBytes, durationMs, end, event }: ReceiptRow): string {
  const place = `${trap} on port ${port ?? '?'}`;
  return `  ${printable(`${at}  ${place}: ${receivedBytes} bytes in, ${sentBytes} out, ${formatDuration(durationMs)}, ended: ${end} (event ${event})`)}\n`;
}

const escaped = (text: string): string => escapeText(text, LONGEST_TEXT);
