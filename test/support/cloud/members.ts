/** Hosts that are members of the deployed hub: enrolled at IoT, connected with mutual TLS, subscribed to what a host hears, introduced. */
import { randomUUID } from 'node:crypto';
import { decodeAdvisory, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import { type Answer, type Question, type Receipt, readAnswer, readReceipt, writeMessage } from '@honeymesh/intel/hub-messages';
import { ADVISORY_TOPIC, answerTopic, DIGEST_TOPIC, questionTopic, receiptTopic, reportTopic } from '@honeymesh/intel/hub-topics';
import { createMesh, type Mesh, type MeshHost, type Site } from './mesh-hosts.ts';
import { connected, type Received, type Session } from './mqtt.ts';
import { brokerOf, type Cloud } from './provided.ts';
import { type Enrolled, enrol } from './things.ts';

export interface Member extends Omit<MeshHost, 'report'> {
  readonly name: string;
  readonly enrolled: Enrolled;
  readonly session: Session;
  /** Asks and waits for the answer. */
  ask(question: Asked): Promise<Answer>;
  /** A report's bytes. */
  reportBytes(envelopes: readonly Uint8Array[]): Uint8Array;
  /** Reports envelopes as they come from sign(), in one message. */
  report(...envelopes: readonly Uint8Array[]): Promise<void>;
  /** The next advisory of a kind that holds an envelope. */
  advisory(kind: 'urgent' | 'digest', withinMs?: number): Promise<{ readonly advisory: SignedAdvisory; readonly atMs: number }>;
  /** The urgent advisory that holds this envelope. */
  hears(envelope: Uint8Array, withinMs?: number): Promise<SignedAdvisory>;
  /** Whether it came already, at once or with a digest. */
  heard(envelope: Uint8Array): boolean;
  /** The next receipt that fits. */
  receipt(fits?: (receipt: Receipt) => boolean, withinMs?: number): Promise<Receipt>;
}

/** A question without what every question has. */
export type Asked = Question extends infer Q ? (Q extends Question ? Omit<Q, 'v' | 'id'> : never) : never;

export interface Cluster {
  member(name: string, site?: Site): Promise<Member>;
  close(): Promise<void>;
}

/** `introduce`: makes a host known in another way than by its question, for hundreds of them. */
export function createCluster(cloud: Cloud, introduce?: (mesh: Mesh, host: MeshHost) => Promise<void>): Cluster {
  const mesh = createMesh(cloud);
  const sessions: Session[] = [];

  async function member(name: string, site: Site = 'home'): Promise<Member> {
    const host = mesh.host(name, site);
    const enrolled = await enrol(cloud, name, host.certificate.kid);
    const session = await connected(brokerOf(cloud), enrolled, name);
    sessions.push(session);
    for (const topic of [answerTopic(name), receiptTopic(name), ADVISORY_TOPIC, DIGEST_TOPIC]) {
      if ((await session.subscribe(topic)) >= 128) throw new Error(`${name} may not subscribe to ${topic}`);
    }
    const say = async (topic: string, payload: Uint8Array): Promise<void> => {
      const code = await session.publish(topic, payload);
      if (code !== 0) throw new Error(`the broker refused ${name} on ${topic}: ${code}`);
    };
    const made: Member = {
      ...host,
      name,
      enrolled,
      session,
      async ask(question) {
        const id = randomUUID().replaceAll('-', '');
        await say(questionTopic(name), writeMessage({ v: 1, id, ...question } as Question));
        const { payload } = await session.next(({ topic, payload }) => topic === answerTopic(name) && readOrNull(readAnswer(payload))?.id === id);
        return readOrNull(readAnswer(payload)) as Answer;
      },
      reportBytes: host.report,
      report: (...envelopes) => say(reportTopic(name), host.report(envelopes)),
      async advisory(kind, withinMs = 15_000) {
        const wanted = kind === 'urgent' ? ADVISORY_TOPIC : DIGEST_TOPIC;
        const fits = ({ topic, payload }: Received): boolean => topic === wanted && (readOrNull(decodeAdvisory(payload))?.envelopes.length ?? 0) > 0;
        const { payload, atMs } = await session.next(fits, withinMs);
        return { advisory: readOrNull(decodeAdvisory(payload)) as SignedAdvisory, atMs };
      },
      async hears(envelope, withinMs = 15_000) {
        const found = await session.next(message => message.topic === ADVISORY_TOPIC && holds(message, envelope), withinMs);
        // It may hold another envelope that somebody waits for.
        session.received.push(found);
        const { payload } = found;
        return readOrNull(decodeAdvisory(payload)) as SignedAdvisory;
      },
      heard: envelope => session.received.some(message => holds(message, envelope)),
      async receipt(fits = () => true, withinMs = 15_000) {
        const isIt = (payload: Uint8Array): boolean => {
          const receipt = readOrNull(readReceipt(payload));
          return receipt !== null && fits(receipt);
        };
        const { payload } = await session.next(message => message.topic === receiptTopic(name) && isIt(message.payload), withinMs);
        return readOrNull(readReceipt(payload)) as Receipt;
      },
    };
    if (introduce !== undefined) {
      await introduce(mesh, host);
      return made;
    }
    const introduced = await made.ask({ ask: 'introduce', certificates: [mesh.registrar, host.certificate.bytes] });
    if (introduced.kind !== 'introduced') throw new Error(`the hub does not know ${name}: ${JSON.stringify(introduced)}`);
    return made;
  }

  return { member, close: async () => void (await Promise.all(sessions.map(session => session.close()))) };
}

const holds = ({ payload }: Received, envelope: Uint8Array): boolean =>
  readOrNull(decodeAdvisory(payload))?.envelopes.some(bytes => Buffer.from(bytes).equals(envelope)) === true;

const readOrNull = <T>(read: { readonly ok: true; readonly value: T } | { readonly ok: false }): T | null => (read.ok ? read.value : null);
