/**
 * What a hub costs a month, as a model that an operator can put their own fleet into: `npm run cost [-- --hosts 1000 --digest-minutes 1 ...]`. Prices are
 * AWS's list for us-east-1 without any free tier, as of November 2026; other regions are up to a third dearer.
 */

/** US dollars. */
export const PRICES = {
  /** IoT Core: a million minutes of connection. */
  connectionMinutes: 0.08,
  /** A million messages, in steps of 5 kB, each delivery one. */
  messages: 1,
  messageStepBytes: 5_120,
  /** A million rules triggered, and a million actions. */
  rules: 0.15,
  actions: 0.15,
  /** Lambda: a million requests; a GB-second on arm64. */
  invocations: 0.2,
  gbSeconds: 0.0000133334,
  /** DynamoDB on demand: a million units. */
  writes: 0.625,
  reads: 0.125,
  /** A GB-month. */
  stored: 0.25,
  recoverable: 0.2,
  /** KMS, asymmetric on P-256: ten thousand requests; a key. */
  signatures: 0.15,
  key: 1,
  /** CloudWatch: a GB of logs; a metric; an alarm above ten; a dashboard above three. */
  logs: 0.5,
  metric: 0.3,
} as const;

/** What is assumed of a fleet. Each may be given as an option, with hyphens. */
export const ASSUMED = {
  hosts: 1_000,
  /** Minutes between digests; each is delivered to all. */
  digestMinutes: 1,
  /** Messages that cannot wait, for each digest: a first proof, a quorum, a withdrawal. */
  urgentPerDigest: 0.1,
  /** kB of an advisory: envelopes of one to a few addresses. */
  advisoryKb: 4,
  /** Reports of a host in a day, each with what it saw in some seconds. */
  reportsPerHostDay: 20,
  /** Minutes between heartbeats of a host. */
  heartbeatMinutes: 20,
  /** Times that a host connects in a day; each is a question, an answer and some events. */
  connectsPerHostDay: 2,
  /** Gaps of a host in a day: QoS 0 loses little. */
  gapsPerHostDay: 1,
  /** kB of logs that an invocation writes: metrics are in there. */
  logKb: 0.4,
} as const;

export type Fleet = { readonly [key in keyof typeof ASSUMED]: number };

export interface Line {
  readonly what: string;
  readonly dollars: number;
  readonly why: string;
}

/** Units to read all that is kept of a host, some 2.5 kB, strongly consistent. */
const READ_OF_A_HOST = 0.64;
const DAYS = 30.4;
const MINUTES = DAYS * 1_440;
const million = (count: number): number => count / 1_000_000;
const steps = (bytes: number): number => Math.ceil(bytes / PRICES.messageStepBytes);

/** A function's run: its memory in MB, its time in ms. */
const runs = (count: number, memoryMb: number, ms: number): number =>
  million(count) * PRICES.invocations + count * (memoryMb / 1_024) * (ms / 1_000) * PRICES.gbSeconds;

export function monthly(fleet: Fleet): readonly Line[] {
  const { hosts } = fleet;
  const digests = MINUTES / fleet.digestMinutes;
  const urgent = digests * fleet.urgentPerDigest;
  const advisories = digests + urgent;
  const reports = hosts * fleet.reportsPerHostDay * DAYS;
  const heartbeats = (hosts * MINUTES) / fleet.heartbeatMinutes;
  const questions = hosts * (fleet.connectsPerHostDay + fleet.gapsPerHostDay) * DAYS;
  const presence = hosts * fleet.connectsPerHostDay * 2 * DAYS;
  const invocations = reports * 2 + heartbeats + questions + presence + advisories;
  const rule = PRICES.rules + PRICES.actions;
  const advisoryBytes = fleet.advisoryKb * 1_024;
  return [
    { what: 'connections', dollars: million(hosts * MINUTES) * PRICES.connectionMinutes, why: `${hosts} hosts, always connected` },
    {
      what: 'advisories to all',
      dollars: million(advisories * (hosts + 1)) * steps(advisoryBytes) * PRICES.messages,
      why: `${Math.round(digests)} digests and ${Math.round(urgent)} urgent ones, each to ${hosts} hosts at QoS 0 (QoS 1 would double it)`,
    },
    {
      what: 'making advisories',
      dollars: runs(advisories, 512, 80) + million(advisories) * (6 * PRICES.writes + 20 * PRICES.reads) + (advisories / 10_000) * PRICES.signatures,
      why: 'functions, a transaction and a signature of KMS for each',
    },
    {
      what: 'reports',
      dollars: million(reports) * rule + runs(reports, 256, 30) + million(reports) * (8 * PRICES.writes + 6 * PRICES.reads) + runs(reports / 5, 512, 60),
      why: `${fleet.reportsPerHostDay} a day and host through Basic Ingest: no message is charged; a transaction of 4 items, twice a write each`,
    },
    {
      what: 'receipts',
      dollars: million(reports) * 2 * PRICES.messages + runs(reports / 2, 256, 20),
      why: 'one for each report, in and out',
    },
    {
      what: 'heartbeats',
      dollars: million(heartbeats) * (rule + PRICES.writes) + runs(heartbeats, 256, 10),
      why: `every ${fleet.heartbeatMinutes} minutes and host, one write each`,
    },
    {
      what: 'questions and presence',
      dollars:
        million(questions) * (2 * PRICES.messages + rule + 2 * PRICES.messages * steps(20_000) + 10 * PRICES.reads + 2 * PRICES.writes) +
        runs(questions, 512, 100) +
        million(presence) * (rule + PRICES.writes) +
        runs(presence, 256, 10),
      why: `${fleet.connectsPerHostDay} connects and ${fleet.gapsPerHostDay} gap a day and host, answers of 20 kB`,
    },
    {
      what: 'tables',
      dollars: million((reports / DAYS) * 3_000) * 0.001 * (PRICES.stored + PRICES.recoverable) + 0.1,
      why: 'a day of envelopes, and what they became; recoverable for 35 days',
    },
    {
      what: 'counting hosts',
      dollars: million(digests * hosts * READ_OF_A_HOST) * PRICES.reads,
      why: 'each digest looks who listens: the governor counts deliveries',
    },
    { what: 'logs', dollars: million(invocations * fleet.logKb) * PRICES.logs, why: `${fleet.logKb} kB for an invocation` },
    { what: 'metrics and the key', dollars: 20 * PRICES.metric + PRICES.key, why: '20 metrics of our own; alarms and dashboard are within what is free' },
  ];
}

export const total = (lines: readonly Line[]): number => lines.reduce((sum, { dollars }) => sum + dollars, 0);

/** Each report to all as it comes, at QoS 1: what the digest, the numbers and QoS 0 are for. */
export const naive = ({ hosts, reportsPerHostDay }: Fleet): number => million(hosts * reportsPerHostDay * DAYS * hosts * 2) * PRICES.messages;

/** Who breaks into one host has its certificate and its key: what that can cost until somebody looks. */
export interface Worst {
  readonly what: string;
  readonly dollarsADay: number;
  readonly bound: string;
}

/** A connection takes 100 publishes a second and 512 KiB (AWS); a second one of the same client id ends the first. */
const PUBLISHES_A_DAY = 100 * 86_400;
const PUBLISHED_STEPS_A_DAY = ((512 * 1_024) / PRICES.messageStepBytes) * 86_400;
/** The fan-out waits for a second, so no more urgent advisories than one a second come of whatever is reported. */
const URGENT_A_DAY = 86_400;

export function worstOfOneHost({ hosts, advisoryKb }: Fleet, quarantineAfter: number, deliveriesPerSecond: number): readonly Worst[] {
  const rule = PRICES.rules + PRICES.actions;
  const refused = million(PUBLISHES_A_DAY) * (rule + PRICES.writes + PRICES.reads) + runs(PUBLISHES_A_DAY, 256, 15);
  const questions = million(PUBLISHED_STEPS_A_DAY) * PRICES.messages + million(PUBLISHES_A_DAY) * (rule + PRICES.writes) + runs(PUBLISHES_A_DAY, 512, 15);
  const delivered = Math.min(URGENT_A_DAY * hosts, deliveriesPerSecond * 86_400);
  return [
    {
      what: 'false proof against one new address after the other, signed as it should be',
      dollarsADay: million(delivered) * steps(advisoryKb * 1_024) * PRICES.messages,
      bound: `each first proof is urgent, at most one advisory a second; never over deliveriesPerSecond (${deliveriesPerSecond}); an alarm calls after 15 minutes`,
    },
    {
      what: 'questions, as many and as large as a connection carries',
      dollarsADay: questions,
      bound: 'an answer every 2 s at most, the rest is refused',
    },
    {
      what: 'junk on the topic for reports, 100 a second',
      dollarsADay: refused,
      bound: `refused and counted; ${quarantineAfter} in a minute, and the certificate is INACTIVE: after ${Math.ceil(quarantineAfter / 100)} s, for less than a cent`,
    },
  ].sort((one, other) => other.dollarsADay - one.dollarsADay);
}
