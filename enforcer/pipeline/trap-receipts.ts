/** A trap session as one row of the log, with its receipt as the detail. */
import { escapeText } from '@honeymesh/intel/escape';
import type { NewEvent } from '@honeymesh/intel/events';
import { formatDuration } from '@honeymesh/intel/time';
import { SHOWN_OF_A_SECRET } from '../control/masking.ts';
import type { Receipt } from '../traps/receipts.ts';
import { findingsText, type Observed, reasonsOf, saidText, strongestKind } from './trap-sightings.ts';

/** The whole session. `wouldBan`: mode observe, and its source is not allowed. */
export function sessionEvent({ at, source, port, protocol, receipt }: Observed<'ended'>, wouldBan: boolean): NewEvent {
  const { findings } = receipt;
  return {
    at,
    source,
    port,
    protocol: 'tcp',
    kind: strongestKind(findings) ?? (receipt.receivedBytes > 0 ? 'payload' : 'touch'),
    tier: findings.length > 0 ? 'E2' : 'E1',
    reasons: reasonsOf(findings, TOUCH),
    origin: 'trap',
    summary: summaryOf(receipt, `the ${protocol} trap on port ${port}`),
    ...(wouldBan ? { wouldBan } : {}),
    detail: receiptDetail(protocol, receipt),
  };
}

const TOUCH = ['trap-touch'] as const;

function summaryOf(receipt: Receipt, place: string): string {
  const { findings, credentials, receivedBytes, head } = receipt;
  const [tried] = credentials;
  const kind = strongestKind(findings);
  if (tried !== undefined && (kind === undefined || kind === 'credentials')) {
    const pair = `${escapeText(tried.user, SHOWN_OF_A_SECRET)}:${escapeText(tried.secret, SHOWN_OF_A_SECRET)}`;
    const more = credentials.length > 1 ? ` and ${credentials.length - 1} more` : '';
    return `tried ${pair}${more} on ${place}`;
  }
  if (kind !== undefined) return `${findingsText(findings, place)}; ${receivedBytes} bytes in ${formatDuration(receipt.durationMs)}`;
  return receivedBytes > 0 ? `said ${receivedBytes} bytes to ${place}${saidText(head)}` : `said nothing to ${place}`;
}

/** The receipt as it came: its bounds keep it within LONGEST_DETAIL. Lists without anything in them are left out. */
function receiptDetail(trap: string, receipt: Receipt): Readonly<Record<string, unknown>> {
  const { head, receivedBytes, sentBytes, durationMs, end, findings, credentials, fingerprints, transcript, omitted } = receipt;
  return {
    trap,
    head,
    receivedBytes,
    sentBytes,
    durationMs,
    end,
    ...(findings.length > 0 ? { findings } : NOTHING),
    ...(credentials.length > 0 ? { credentials } : NOTHING), // `secret` marks what was guessed
    ...(fingerprints.length > 0 ? { fingerprints } : NOTHING),
    ...(transcript.length > 0 ? { transcript } : NOTHING),
    ...(omitted > 0 ? { omitted } : NOTHING),
  };
}

const NOTHING = {};
