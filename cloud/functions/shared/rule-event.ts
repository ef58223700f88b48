/** What an IoT rule hands to a function: see RULE_SELECT in functions.ts. The broker wrote all but the payload; the payload is the host's. */

import { isNodeName } from '@honeymesh/intel/certificates';
import { LONGEST_MESSAGE_BYTES } from '@honeymesh/intel/hub-report';
import { type HostTopic, thingOfTopic } from '@honeymesh/intel/hub-topics';
import { bytesOfBase64 } from '@honeymesh/intel/json-shape';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { DAY_MS } from '@honeymesh/intel/time';

export interface Heard {
  readonly thing: string;
  readonly payload: Uint8Array;
  /** Of the certificate that the connection used: its id. */
  readonly principal: string | null;
}

export type RuleFailure = 'not-an-event' | 'oversize' | 'other-topic' | 'bad-name' | 'too-old';

/** IoT delivers late where it is throttled, for 6 hours at most. */
const LONGEST_DELAY_MS = DAY_MS;

/** The rule's WHERE says the same; a rule may be changed, and this is the last place where it can be noticed. */
export function readRuleEvent(event: unknown, kind: HostTopic, nowMs: number): Parsed<Heard, RuleFailure> {
  if (typeof event !== 'object' || event === null) return unparsed('not-an-event');
  const { payload, client, topic, at, principal } = event as Record<string, unknown>;
  if (typeof payload !== 'string' || typeof topic !== 'string' || typeof client !== 'string') return unparsed('not-an-event');
  if (payload.length > 4 * Math.ceil(LONGEST_MESSAGE_BYTES / 3)) return unparsed('oversize');
  const bytes = bytesOfBase64(payload);
  if (bytes === undefined) return unparsed('not-an-event');
  if (thingOfTopic(topic, kind) !== client) return unparsed('other-topic');
  if (!isNodeName(client)) return unparsed('bad-name');
  if (typeof at === 'number' && nowMs - at > LONGEST_DELAY_MS) return unparsed('too-old');
  return parsed({ thing: client, payload: bytes, principal: typeof principal === 'string' && /^[0-9a-f]{64}$/.test(principal) ? principal : null });
}

/** Of an event without a host's topic (presence): the payload alone. */
export function readPayload(event: unknown, longestBytes: number): Uint8Array | null {
  if (typeof event !== 'object' || event === null) return null;
  const { payload } = event as Record<string, unknown>;
  if (typeof payload !== 'string' || payload.length > 4 * Math.ceil(longestBytes / 3)) return null;
  return bytesOfBase64(payload) ?? null;
}
