/** A whole hub without AWS: the real use cases on tables in memory, a broker that is a list, and a clock that the test moves. */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { type Advice, encodeIntel, type Withdrawal } from '@honeymesh/intel/advisories';
import { type Envelope, openEnvelope } from '@honeymesh/intel/envelope';
import { advisoryMessage, decodeAdvisory, LONGEST_OBJECT_BYTES, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import type { Answer, Question, Receipt } from '@honeymesh/intel/hub-messages';
import { readReceipt } from '@honeymesh/intel/hub-messages';
import { encodeReport, type ReportEntry } from '@honeymesh/intel/hub-report';
import { ADVISORY_TOPIC, DIGEST_TOPIC, receiptTopic } from '@honeymesh/intel/hub-topics';
import { SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { type AnswerDeps, answer } from '#cloud/functions/answers/answer.ts';
import { type Digested, sendDigest } from '#cloud/functions/digest/send-digest.ts';
import { type PassedOn, type PassOnOptions, passOn } from '#cloud/functions/fan-out/pass-on.ts';
import { makeReceipts } from '#cloud/functions/receipts/make-receipts.ts';
import { type ReportOutcome, takeReport } from '#cloud/functions/shared/take-report.ts';
import type { AdmitRules } from '#cloud/hub/admit.ts';
import { createEd25519Verifier, sha256, type Verifier } from '#cloud/hub/keys.ts';
import { DEFAULT_NEVER_ADVISED } from '#cloud/hub/never-advised.ts';
import { createAdvisories } from '#cloud/store/advisories.ts';
import { createEnvelopes, keptOf } from '#cloud/store/envelopes.ts';
import { createPeers } from '#cloud/store/peers.ts';
import { createSightings } from '#cloud/store/sightings.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { CLUSTER, type Host, NOON, signedBy, type Trust } from '#test/support/hm1.ts';
import { createMemoryTables, type MemoryTables, type StreamEvent } from './memory-tables.ts';

export interface Published {
  readonly topic: string;
  readonly payload: Uint8Array;
}

export interface HubWorldOptions {
  readonly trusted: Trust;
  readonly never?: readonly string[];
  readonly verifier?: Verifier;
  readonly deliveriesPerSecond?: number;
  /** Before each request to the tables. */
  readonly before?: (request: string) => Promise<void> | void;
}

const hubKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
/** What hosts pin: the hub's public key. */
export const hubSigner: KeyObject = createPublicKey(hubKey.privateKey);

/** Node signs messages, not digests as KMS does: here the digest is the message. That KMS's signature holds over the bytes is shown on the emulators. */
export const isSignedByHub = (advisory: SignedAdvisory): boolean =>
  verify('sha256', sha256(advisoryMessage(CLUSTER, advisory.unsigned)), hubSigner, advisory.signature);

export type HubWorld = ReturnType<typeof createHubWorld>;

export function createHubWorld({ trusted, never = DEFAULT_NEVER_ADVISED, verifier, deliveriesPerSecond = 10_000, before }: HubWorldOptions) {
  let clock: number = NOON;
  const now = (): number => clock;
  const tables: MemoryTables = createMemoryTables({ now, ...(before === undefined ? {} : { before }) });
  const published: Published[] = [];
  const objects = new Map<string, Uint8Array>();
  const things = new Map<string, Host>();
  const stores = {
    tables,
    peers: createPeers(tables),
    envelopes: createEnvelopes(tables),
    sightings: createSightings(tables),
    advisories: createAdvisories(tables),
  };
  const faults: { publish?: (topic: string) => void } = {};
  const deps = {
    ...stores,
    verifier: verifier ?? createEd25519Verifier(),
    now,
    sleep: async () => {},
    sign: async (digest: Uint8Array) => Uint8Array.from(sign('sha256', digest, hubKey.privateKey)),
    publish: async (topic: string, payload: Uint8Array) => {
      faults.publish?.(topic);
      published.push({ topic, payload });
    },
  };
  const rules: AdmitRules = { clusterId: CLUSTER, never: { special: never as AdmitRules['never']['special'], fleet: [] } };
  const options: PassOnOptions = { clusterId: CLUSTER, quorumSites: 2, deliveriesPerSecond };
  const trust = { clusterId: CLUSTER, rootPublic: edPublicOf(trusted.rootSecret) };
  let asked = 0;

  const answerDeps: AnswerDeps = {
    ...deps,
    objects: {
      put: async (key, bytes) => void objects.set(key, bytes),
      link: async key => ({ url: `https://bucket/${key}`, expiresAt: clock + 300 * SECOND_MS }),
      offer: async key => ({ url: `https://bucket/${key}`, expiresAt: clock + 300 * SECOND_MS }),
    },
    registered: async thing => {
      const host = things.get(thing);
      return host === undefined ? null : { kid: host.certificate.kid, enrolledAt: unixMs(clock), by: 'operator', approved: true };
    },
    randomName: () => 'random',
  };

  const ask = (thing: string, question: { readonly ask: string } & Record<string, unknown>): Promise<Answer> =>
    answer(thing, { v: 1, id: `q${++asked}`, ...question } as unknown as Question, trust, answerDeps);

  const world = {
    tables,
    stores,
    deps,
    answerDeps,
    options,
    rules,
    trust,
    published,
    objects,
    faults,
    now,
    pass(ms: number): void {
      clock += ms;
    },
    at(ms: number): void {
      clock = ms;
    },
    /** Enrolled and introduced. */
    async enrol(host: Host): Promise<Answer> {
      things.set(host.certificate.nodeName, host);
      return ask(host.certificate.nodeName, { ask: 'introduce', certificates: [trusted.registrar.bytes, host.certificate.bytes] });
    },
    ask,
    envelope(host: Host, seq: number, advice: readonly Advice[], more: EnvelopeMore = {}): Uint8Array {
      const { withdrawals = [], ...header } = more;
      const issuedAt = header.issuedAt === undefined ? unixMs(clock) : unixMs(header.issuedAt);
      return signedBy(host, encodeIntel({ advice, withdrawals }), trusted.signatures, { epoch: 1, ...header, seq, issuedAt });
    },
    /** As one message of this host. */
    report(host: Host, envelopes: readonly Uint8Array[], thing: string = host.certificate.nodeName): Promise<ReportOutcome> {
      return takeReport(thing, encodeReport(envelopes.map(entryOf)), rules, deps);
    },
    arrivals: (events: readonly StreamEvent[]) => events.filter(one => one.name === 'INSERT').map(({ event, item }) => ({ event, kept: keptOf(item) })),
    fanOut(events: readonly StreamEvent[] = tables.takeStream('envelopes')): Promise<PassedOn> {
      return passOn(world.arrivals(events), options, deps);
    },
    digest: (): Promise<Digested> => sendDigest(options, deps),
    async receipts(): Promise<void> {
      await makeReceipts(
        tables.takeStream('paces').map(one => one.item),
        deps,
      );
    },
    advisories: (): readonly SignedAdvisory[] =>
      published.filter(({ topic }) => topic === ADVISORY_TOPIC || topic === DIGEST_TOPIC).map(({ payload }) => advisoryOf(payload)),
    receiptsOf: (host: Host): readonly Receipt[] =>
      published.filter(({ topic }) => topic === receiptTopic(host.certificate.nodeName)).map(({ payload }) => value(readReceipt(payload))),
  };
  return world;
}

export interface EnvelopeMore {
  readonly epoch?: number;
  readonly issuedAt?: number;
  readonly ttlS?: number;
  readonly withdrawals?: readonly Withdrawal[];
}

/** Consecutive numbers, none for the mesh alone. */
export const entryOf = (envelope: Uint8Array): ReportEntry => ({ previous: Math.max(0, seqOf(envelope) - 1), envelope });

export const seqOf = (bytes: Uint8Array): number => opened(bytes).seq;

export function opened(bytes: Uint8Array): Envelope {
  return value(openEnvelope(bytes));
}

export const advisoryOf = (bytes: Uint8Array): SignedAdvisory => value(decodeAdvisory(bytes, LONGEST_OBJECT_BYTES));

export function value<T>(read: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string }): T {
  if (!read.ok) throw new Error(read.why);
  return read.value;
}
