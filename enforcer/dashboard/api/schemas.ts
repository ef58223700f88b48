/** The rows that the API answers with, as schemas: the OpenAPI document is made from them, and the compiler holds them to what the daemon gives. */
import { ADVICE_PATHS, ALLOW_CAUSES, PATIENCES } from '@honeymesh/intel/bans';
import { DEGRADED_PARTS, EVENT_KINDS } from '@honeymesh/intel/events';
import { ORIGINS, TIERS } from '@honeymesh/intel/evidence';
import { CONTENT_KINDS } from '@honeymesh/intel/findings';
import { REASONS, type Reason } from '@honeymesh/intel/reasons';
import * as z from 'zod';
import { MEMBER_STATES } from '../../mesh/protocol/messages.ts';
import { CHANNELS } from '../../notify/port.ts';
import { SESSION_ENDS, TRANSCRIPT_KINDS } from '../../traps/receipts.ts';

export const instant = z.string().meta({ description: 'RFC 3339, in UTC' });
export const reason = z.enum(REASONS.map(({ name }) => name) as [Reason, ...Reason[]]);
export const tier = z.enum(TIERS);
export const origin = z.enum(ORIGINS);
export const kind = z.enum(EVENT_KINDS);
const count = z.int().min(0);
const transport = z.enum(['tcp', 'udp', 'icmp']);
const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly();

/** What comes in is bounded before it is read any further; the operations say what is wrong with it. */
export const asked = {
  target: z.string().min(1).max(64).meta({ description: 'An address or prefix' }),
  ttl: z.string().max(32).meta({ description: 'A duration such as `24h`' }),
  note: z.string().max(500),
  instant: z.string().max(64).meta({ description: 'RFC 3339, or a time back from now such as `24h`' }),
  id: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  port: z.coerce.number().int().min(0).max(65_535),
  limit: (standard: number, most: number) => z.coerce.number().int().min(1).max(most).default(standard),
  flag: z.enum(['true', 'false']).transform(text => text === 'true'),
  /** `kind=ban,lift`. */
  words: <Words extends readonly [string, ...string[]]>(words: Words) =>
    z
      .string()
      .max(1_024)
      .transform(text => text.split(',').map(word => word.trim()))
      .pipe(z.array(z.enum(words)).min(1).max(64))
      .meta({ description: `Separated by commas: ${words.join(', ')}` }),
} as const;

export const banRow = z.object({
  target: z.string(),
  tier,
  reasons: list(reason),
  origins: list(origin),
  createdAt: instant,
  expiresAt: instant.nullable(),
  droppedPackets: count,
  enforced: z.boolean(),
  confined: z.boolean(),
  fullAt: instant.nullable(),
  offences: count.optional(),
  provisional: z.boolean().optional(),
  advisers: list(z.object({ signer: z.string(), site: z.string().nullable(), path: z.enum(ADVICE_PATHS), at: instant })).optional(),
  note: z.string().optional(),
});

export const allowRow = z.object({ target: z.string(), cause: z.enum(ALLOW_CAUSES), why: z.string(), since: instant });

export const eventRow = z.object({
  id: count,
  at: instant,
  kind,
  source: z.string().nullable(),
  port: count.nullable(),
  protocol: transport.nullable(),
  tier: tier.nullable(),
  reasons: list(reason),
  techniques: list(z.string()),
  origin: origin.nullable(),
  summary: z.string(),
  wouldBan: z.boolean().optional(),
  target: z.string().optional(),
  detail: z.record(z.string(), z.unknown()).optional(),
});

export const dryRunReport = z.object({
  target: z.string(),
  refused: z.string().nullable(),
  fix: z.string().nullable(),
  addresses: z.string().meta({ description: 'How many addresses the target holds, as a decimal number' }),
  allowedWithin: list(allowRow),
  bystanders: list(z.string()),
  bansWithin: count,
  coveredBy: z.string().nullable(),
});

const ports = z.union([list(count), z.literal('all')]);

export const trapReport = z.object({
  ports,
  udpPorts: ports,
  choice: z.enum(['typical', 'all', 'list', 'off']),
  patience: z.enum(PATIENCES),
  sessions: count,
  confined: count,
  running: z.boolean(),
  restarts: count,
  lost: count,
});

export const statusReport = z.object({
  version: z.string(),
  instance: z.string(),
  mode: z.string(),
  pausedUntil: instant.nullable(),
  interfaces: list(z.object({ name: z.string(), xdp: z.enum(['native', 'generic', 'off']) })),
  bans: z.object({ active: count, shunned: count, capacity: count }),
  traps: trapReport,
  mesh: z.object({
    state: z.enum(['off', 'starting', 'alone', 'joined', 'down']),
    peers: count,
    name: z.string().nullable(),
    site: z.string().nullable(),
    signatures: z.enum(['off', 'preferred', 'required']),
    registrar: z.boolean(),
  }),
  hub: z.object({
    state: z.enum(['off', 'starting', 'connecting', 'connected', 'introduced', 'down']),
    endpoint: z.string().nullable(),
    thing: z.string().nullable(),
    waiting: count,
    head: z.object({ epoch: count, number: count }).nullable(),
    receiptAt: instant.nullable(),
    advisoryAt: instant.nullable(),
    votesFrom: instant.nullable(),
  }),
  store: z.object({ events: count, ok: z.boolean() }),
  packets: z.record(z.string(), z.number()),
  notify: list(
    z.object({
      channel: z.enum(CHANNELS),
      state: z.enum(['idle', 'ok', 'failing']),
      waiting: count,
      sent: count,
      givenUp: count,
      lostEvents: count,
      lastSentAt: instant.nullable(),
      why: z.string().nullable(),
    }),
  ).optional(),
  degraded: list(z.object({ part: z.enum(DEGRADED_PARTS), why: z.string(), fix: z.string() })),
  since: instant,
});

export const peerRow = z.object({
  name: z.string(),
  address: z.string(),
  state: z.enum(MEMBER_STATES),
  signed: z.boolean(),
  site: z.string().nullable(),
  key: z.string().nullable(),
  answeredAt: instant.nullable(),
  trust: z.number().nullable(),
  adviceAccepted: count,
  adviceRefused: count,
});

const finding = z.object({ rule: z.string(), reason, kind: z.enum(CONTENT_KINDS), quote: z.string() });

const receiptRow = z.object({
  event: count,
  at: instant,
  port: count.nullable(),
  trap: z.string(),
  kind,
  rules: list(z.string()),
  end: z.enum(SESSION_ENDS).or(z.string()),
  head: z.string().meta({ description: 'The first bytes that the source sent, base64' }),
  receivedBytes: count,
  sentBytes: count,
  durationMs: count,
  findings: list(finding),
  credentials: list(z.object({ user: z.string(), secret: z.string(), scheme: z.string().optional() })),
  fingerprints: list(z.object({ name: z.string(), value: z.string() })),
  transcript: list(z.object({ atMs: count, kind: z.enum(TRANSCRIPT_KINDS), text: z.string() })),
  omitted: count,
});

export const explainReport = z.object({
  address: z.string(),
  verdict: z.enum(['dropped', 'confined', 'shunned', 'policed', 'allowed', 'free']),
  because: z.string(),
  ban: banRow.nullable(),
  allow: allowRow.nullable(),
  kernel: z.record(z.string(), z.unknown()),
  steps: list(z.object({ at: instant.nullable(), what: z.string() })),
  events: list(eventRow),
  receipts: list(receiptRow),
  lifts: z.string().nullable(),
  sharable: z.object({ yes: z.boolean(), why: z.string() }),
});

export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().optional().meta({ description: 'Stable: HM_REFUSED, HM_NOT_FOUND, ...' }),
  fix: z.string().optional().meta({ description: 'What the operator can do about it' }),
});
export type Problem = z.output<typeof problem>;
