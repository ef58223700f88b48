/** Hosts of a cluster whose root the deployed hub knows: certified for the mesh, enrolled at IoT, connected, and able to sign what they report. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Prefix } from '@honeymesh/intel/address';
import { type Advice, encodeIntel, type Withdrawal } from '@honeymesh/intel/advisories';
import { type EnvelopeHeader, sealEnvelope } from '@honeymesh/intel/envelope';
import { hexBytes } from '@honeymesh/intel/envelope-bytes';
import { decodeAdvisory, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import { type Answer, type Question, readAnswer, writeMessage } from '@honeymesh/intel/hub-messages';
import { encodeReport } from '@honeymesh/intel/hub-report';
import { ADVISORY_TOPIC, answerTopic, DIGEST_TOPIC, questionTopic, receiptTopic, reportTopic } from '@honeymesh/intel/hub-topics';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import { issueNodeCertificate, issueRegistrarCertificate, NODE_LIFE_MS, REGISTRAR_LIFE_MS } from '#enforcer/mesh/signed/certificates.ts';
import { createEd25519, edPublicOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { prefix } from '#test/support/hm1.ts';
import { connected, type Received, type Session } from './mqtt.ts';
import type { Cloud } from './provided.ts';
import { type Enrolled, enrol } from './things.ts';

const signatures = createEd25519();
const SITES = ['home', 'lab', 'shop'] as const;

export interface Member {
  readonly name: string;
  readonly kid: string;
  readonly enrolled: Enrolled;
  readonly session: Session;
  /** Asks and waits for the answer. */
  ask(question: Asked): Promise<Answer>;
  /** An envelope with the next number, signed now unless `header` says otherwise. */
  sign(what: { readonly advice?: readonly Advice[]; readonly withdrawals?: readonly Withdrawal[] }, header?: Partial<EnvelopeHeader>): Uint8Array;
  /** Reports envelopes as they come from sign(), in one message. */
  report(...envelopes: readonly Uint8Array[]): Promise<void>;
  /** The next advisory of a kind that holds an envelope. */
  advisory(kind: 'urgent' | 'digest', withinMs?: number): Promise<{ readonly advisory: SignedAdvisory; readonly atMs: number }>;
}

/** A question without what every question has. */
export type Asked = Question extends infer Q ? (Q extends Question ? Omit<Q, 'v' | 'id'> : never) : never;

export interface Cluster {
  member(name: string, site?: (typeof SITES)[number]): Promise<Member>;
  close(): Promise<void>;
}

export function createCluster(cloud: Cloud): Cluster {
  const clusterId = hexBytes(cloud.cluster);
  const now = Date.now();
  const registrarSecret = new Uint8Array(randomBytes(32));
  const notBefore = unixMs(now - DAY_MS);
  const request = { clusterId, sites: SITES, edPublic: edPublicOf(registrarSecret), notBefore, notAfter: unixMs(notBefore + REGISTRAR_LIFE_MS) };
  const registrar = issueRegistrarCertificate(request, hexBytes(cloud.rootSecret), signatures);
  const sessions: Session[] = [];

  async function member(name: string, site: (typeof SITES)[number] = 'home'): Promise<Member> {
    const edSecret = new Uint8Array(randomBytes(32));
    const keys = { edPublic: edPublicOf(edSecret), xPublic: xPublicOf(new Uint8Array(randomBytes(32))) };
    const host = { clusterId, nodeName: name, site, ...keys, notBefore, notAfter: unixMs(notBefore + NODE_LIFE_MS) };
    const certificate = issueNodeCertificate(host, { kid: registrar.kid, secret: registrarSecret }, signatures);
    const enrolled = await enrol(cloud, name, certificate.kid);
    const session = await connected({ port: cloud.ministack.mqttPort, ca: cloud.ministack.ca }, enrolled, name);
    sessions.push(session);
    for (const topic of [answerTopic(name), receiptTopic(name), ADVISORY_TOPIC, DIGEST_TOPIC]) {
      if ((await session.subscribe(topic)) >= 128) throw new Error(`${name} may not subscribe to ${topic}`);
    }
    const epoch = now;
    let seq = 0;
    const numbers = new Map<Uint8Array, { readonly previous: number }>();

    const made: Member = {
      name,
      kid: certificate.kid,
      enrolled,
      session,
      async ask(question) {
        const id = randomUUID().replaceAll('-', '');
        const refused = await session.publish(questionTopic(name), writeMessage({ v: 1, id, ...question } as Question));
        if (refused !== 0) throw new Error(`the broker refused the question: ${refused}`);
        const fits = ({ topic, payload }: Received): boolean => topic === answerTopic(name) && answerOf(payload)?.id === id;
        return answerOf((await session.next(fits)).payload) as Answer;
      },
      sign({ advice = [], withdrawals = [] }, header = {}) {
        const previous = seq;
        seq = header.seq ?? seq + 1;
        const full = { kid: certificate.kid, epoch, seq, issuedAt: unixMs(Date.now()), ttlS: 3_600, type: 'intel' as const, ...header };
        const envelope = sealEnvelope(full, encodeIntel({ advice, withdrawals }), { clusterId, secret: edSecret, signatures });
        numbers.set(envelope, { previous });
        return envelope;
      },
      async report(...envelopes) {
        const entries = envelopes.map(envelope => ({ previous: numbers.get(envelope)?.previous ?? 0, envelope }));
        const refused = await session.publish(reportTopic(name), encodeReport(entries));
        if (refused !== 0) throw new Error(`the broker refused the report: ${refused}`);
      },
      async advisory(kind, withinMs = 15_000) {
        const fits = ({ topic, payload }: Received): boolean =>
          topic === (kind === 'urgent' ? ADVISORY_TOPIC : DIGEST_TOPIC) && (advisoryOf(payload)?.envelopes.length ?? 0) > 0;
        const { payload, atMs } = await session.next(fits, withinMs);
        return { advisory: advisoryOf(payload) as SignedAdvisory, atMs };
      },
    };
    const introduced = await made.ask({ ask: 'introduce', certificates: [registrar.bytes, certificate.bytes] });
    if (introduced.kind !== 'introduced') throw new Error(`the hub does not know ${name}: ${JSON.stringify(introduced)}`);
    return made;
  }

  return { member, close: async () => void (await Promise.all(sessions.map(session => session.close()))) };
}

/** An address of a network for documentation, as advice of tier E2: the first of these is urgent. */
export const adviceFor = (address: string, more: Partial<Advice> = {}): Advice => ({
  target: prefix(address) as Prefix,
  tier: 'E2',
  reasons: ['exploit'],
  ttlS: 3_600,
  ...more,
});

function answerOf(payload: Uint8Array): Answer | null {
  const read = readAnswer(payload);
  return read.ok ? read.value : null;
}

function advisoryOf(payload: Uint8Array): SignedAdvisory | null {
  const read = decodeAdvisory(payload);
  return read.ok ? read.value : null;
}
