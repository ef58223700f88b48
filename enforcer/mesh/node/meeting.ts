/** Whom to join, at the start and again whenever it is due: the configured list, resolved anew, and the peers of before. */
import { type Endpoint, placeOf } from '../protocol/core/endpoint.ts';
import type { JoinFailure, MemberEvent, MemberView } from '../protocol/core/outputs.ts';
import { MOST_PEERS, type NodeMemory } from './node-memory.ts';
import { textOfEndpoint } from './places.ts';
import { type Lookup, resolveTargets, systemLookup, type Unresolved } from './resolve.ts';

export interface MeetingOptions {
  readonly join: readonly string[];
  /** Where a target names none. */
  readonly port: number;
  readonly incarnation: number;
  /** From memory, the latest last. */
  readonly remembered: readonly string[];
}

export interface MeetingDeps {
  readonly members: () => readonly MemberView[];
  readonly self: () => MemberView;
  readonly memory: NodeMemory | null;
  readonly lookup: Lookup | undefined;
  readonly trouble: (error: Error) => void;
  readonly push: (targets: readonly Endpoint[]) => Promise<{ readonly contacted: number; readonly failed: readonly JoinFailure[] }>;
}

export interface Meeting {
  meet(
    targets?: readonly string[],
  ): Promise<{ readonly contacted: number; readonly failed: readonly JoinFailure[]; readonly unresolved: readonly Unresolved[] }>;
  heard(event: MemberEvent): void;
  /** Resolves when what was to be kept is kept. */
  stop(): Promise<void>;
}

const RESOLVE_MS = 5000;
/** Peers of before that are tried at one time: the latest. */
const MOST_OLD_PEERS = 16;
/** Peers come and go in crowds: the list is written when it has been still for so long, ms. */
const SETTLE_MS = 5000;

export function createMeeting({ join, port, incarnation: first, remembered }: MeetingOptions, deps: MeetingDeps): Meeting {
  const peers = new Set(remembered);
  let incarnation = first;
  let settling: NodeJS.Timeout | null = null;
  let meetingAgain = false;
  let stopped = false;

  async function keep(): Promise<void> {
    if (settling !== null) clearTimeout(settling);
    settling = null;
    const failure = (await deps.memory?.keep({ incarnation, peers: [...peers] })) ?? null;
    if (failure !== null) deps.trouble(failure);
  }

  function know(member: MemberView): void {
    const text = textOfEndpoint(member);
    if (member.name === deps.self().name) return;
    peers.delete(text);
    peers.add(text);
    for (const oldest of peers) {
      if (peers.size <= MOST_PEERS) break;
      peers.delete(oldest);
    }
    keepSoon();
  }

  function keepSoon(): void {
    if (deps.memory === null || stopped) return;
    settling ??= setTimeout(() => void keep(), SETTLE_MS).unref();
  }

  async function meet(targets: readonly string[] | undefined) {
    const list = targets ?? [...join, ...[...peers].slice(-MOST_OLD_PEERS)];
    const { endpoints, failed: unresolved } = await resolveTargets(list, { defaultPort: port, timeoutMs: RESOLVE_MS }, deps.lookup ?? systemLookup);
    if (stopped) return { contacted: 0, failed: [], unresolved };
    const own = placeOf(deps.self());
    const joined = await deps.push(targets === undefined ? endpoints.filter(endpoint => placeOf(endpoint) !== own) : endpoints);
    return { contacted: joined.contacted, failed: joined.failed, unresolved };
  }

  async function meetAgain(): Promise<void> {
    if (meetingAgain) return;
    meetingAgain = true;
    const list = [...join, ...[...peers].slice(-MOST_OLD_PEERS)];
    const { endpoints } = await resolveTargets(list, { defaultPort: port, timeoutMs: RESOLVE_MS }, deps.lookup ?? systemLookup);
    meetingAgain = false;
    if (stopped) return;
    const met = new Set(deps.members().flatMap(member => (member.state === 'alive' ? [placeOf(member)] : [])));
    const strangers = endpoints.filter(endpoint => !met.has(placeOf(endpoint)));
    if (strangers.length > 0) await deps.push(strangers);
  }

  return {
    meet,
    heard(event) {
      if (event.kind === 'rejoin-due') void meetAgain();
      else if (event.kind === 'join') know(event.member);
      else if (event.kind === 'leave' && event.member.state === 'left') {
        // Who said goodbye is not looked for.
        if (peers.delete(textOfEndpoint(event.member))) keepSoon();
      } else if (event.kind === 'incarnation') {
        incarnation = event.incarnation;
        if (deps.memory !== null) void keep();
      }
    },
    async stop() {
      stopped = true;
      if (settling !== null) clearTimeout(settling);
      if (deps.memory !== null) await keep();
    },
  };
}
