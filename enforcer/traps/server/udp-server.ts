/**
 * The traps' UDP server: answers what the kernel steered to us, and tells what it saw. Nobody is proven here, for a source can be forged: so no reply is
 * longer than what it answers, there are few of them, and none goes where it could start a quarrel between two servers.
 */
import { type Address, familyOf, prefixOf } from '@honeymesh/intel/address';
import { type Bucket, emptyBucket, pour } from '@honeymesh/intel/bucket';
import type { Finding } from '@honeymesh/intel/findings';
import { unixMs } from '@honeymesh/intel/time';
import { HoneyMeshBug } from '../../errors.ts';
import type { TrapLimits, TrapObservation } from '../messages.ts';
import type { Persona } from '../protocols/persona.ts';
import type { respondToDatagram } from '../protocols/udp/registry.ts';
import { LONGEST_HEAD, MOST_FINDINGS } from '../receipts.ts';
import type { Datagram, TrapDatagrams } from './datagram-port.ts';
import type { Judge } from './session.ts';
import type { UdpReplies } from './udp-replies.ts';

export interface UdpServerOptions {
  readonly limits: Pick<TrapLimits, 'repliesPerSecond' | 'repliesPerSecondPerSource'>;
  readonly persona: Persona;
}

export interface UdpServerDeps {
  readonly datagrams: TrapDatagrams;
  /** The pinned map: see `openUdpReplies`. */
  readonly replies: UdpReplies;
  readonly respond: typeof respondToDatagram;
  readonly judge: Judge;
  readonly observe: (observation: TrapObservation) => void;
  /** A batch is over: what was observed can leave. */
  readonly settled: () => void;
  /** A mistake of ours, which costs one reply. */
  readonly fault: (error: unknown) => void;
  /** At least 32 fresh bytes. */
  readonly random: () => Uint8Array;
  readonly nowMs: () => number;
}

export interface UdpServer {
  /** On inherited sockets. */
  start(fds: readonly number[]): void;
  stop(): void;
}

type Seen = Extract<TrapObservation, { kind: 'datagram' }>;

/** Sources whose rate is remembered; a new one takes the place of the one that was answered least lately. The rate in all holds whatever they are. */
const MOST_SOURCES = 4_096;
/** echo, daytime, quotd, chargen, time: they answer whatever comes, also an answer. */
const ANSWERS_ANYTHING: ReadonlySet<number> = new Set([7, 13, 17, 19, 37]);

export function createUdpServer({ limits, persona }: UdpServerOptions, deps: UdpServerDeps): UdpServer {
  const { datagrams, replies, respond, judge, observe, settled, fault, random, nowMs } = deps;
  const inAll = rateOf(limits.repliesPerSecond);
  const each = rateOf(limits.repliesPerSecondPerSource);
  let all: Bucket = emptyBucket;
  const sources = new Map<string, Bucket>();
  /** Of this batch, by port, source and protocol. */
  const seen = new Map<string, Seen>();

  function admitted(source: Address): boolean {
    const key = rateKey(source);
    const ofSource = pour(sources.get(key) ?? emptyBucket, each, nowMs());
    if (!ofSource.admitted) return false;
    const ofAll = pour(all, inAll, nowMs());
    all = ofAll.bucket;
    if (!ofAll.admitted) return false;
    sources.delete(key); // it is the latest now
    if (sources.size >= MOST_SOURCES) for (const oldest of sources.keys()) if (sources.delete(oldest)) break;
    sources.set(key, ofSource.bucket);
    return true;
  }

  /** Whether it left. The port is noted right before, for the next reply may be to the same place from another one. */
  function answer(datagram: Datagram, reply: Uint8Array): boolean {
    if (reply.length > datagram.length)
      throw new HoneyMeshBug('a trap would answer a datagram with a longer one', { port: datagram.port, length: reply.length });
    if (!mayAnswer(datagram) || !admitted(datagram.source)) return false;
    return replies.note(datagram.source, datagram.sourcePort, datagram.port) && datagrams.reply(reply);
  }

  function received(datagram: Datagram, bytes: Uint8Array): void {
    const { source, sourcePort, destination, port } = datagram;
    const context = { port, source, sourcePort, destination, persona, random: random(), receivedAt: unixMs(Date.now()) };
    const { protocol, reply, observations } = respond(bytes, context);
    let answered = false;
    try {
      answered = reply !== undefined && answer(datagram, reply);
    } catch (error) {
      fault(error);
    }
    const findings = observations.flatMap(observation => judge.judge(observation, { protocol, port, transport: 'udp' }));
    const name = `${port} ${source} ${protocol}`;
    const known = seen.get(name);
    if (known !== undefined) {
      const count = known.count + 1;
      const receivedBytes = known.receivedBytes + datagram.length;
      seen.set(name, { ...known, count, receivedBytes, answered: known.answered || answered, findings: merged(known.findings, findings) });
    } else {
      const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, LONGEST_HEAD)).toString('base64');
      const at = context.receivedAt;
      const all = merged([], findings);
      seen.set(name, { kind: 'datagram', at, source, port, protocol, findings: all, head, receivedBytes: datagram.length, answered, count: 1 });
    }
  }

  return {
    start(fds) {
      datagrams.start(fds, {
        received(datagram, bytes) {
          try {
            received(datagram, bytes);
          } catch (error) {
            fault(error);
          }
        },
        settled() {
          for (const observation of seen.values()) observe(observation);
          seen.clear();
          settled();
        },
      });
    },
    stop: () => datagrams.stop(),
  };
}

const rateOf = (perSecond: number) => ({ burst: Math.max(1, perSecond), everyMs: 1_000 / Math.max(1, perSecond) });

/** IPv6 sources are one by their /64: who has one has all of its addresses. */
const rateKey = (source: Address): string => (familyOf(source) === 4 ? source : prefixOf(source, 64));

/** No port to answer, nobody in particular, ourselves, or a service that would answer the answer. */
function mayAnswer({ source, sourcePort, destination }: Datagram): boolean {
  return sourcePort !== 0 && source !== destination && isUnicast(source) && !ANSWERS_ANYTHING.has(sourcePort);
}

/** A broadcast address of a net the kernel itself refuses to send to: the sockets are not for it. */
function isUnicast(source: Address): boolean {
  if (familyOf(source) === 6) return source !== '::' && !source.startsWith('ff');
  const first = Number(source.slice(0, source.indexOf('.')));
  return first !== 0 && first < 224;
}

function merged(known: readonly Finding[], more: readonly Finding[]): readonly Finding[] {
  const fresh = more.filter(({ rule }, at) => !known.some(one => one.rule === rule) && more.findIndex(one => one.rule === rule) === at);
  return fresh.length === 0 ? known : [...known, ...fresh].slice(0, MOST_FINDINGS);
}
