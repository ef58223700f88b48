/**
 * The hub's part of the composition root: the process that speaks with it, and what passes between it and the pipeline. Enforcement waits for none of it:
 * without a hub this host loses nothing but the advice of hosts that it does not meet.
 */
import { lookup } from 'node:dns/promises';
import { hostPrefix, type Prefix, parseAddress } from '@honeymesh/intel/address';
import { MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';
import type { HubConfig } from './config/config.ts';
import type { DegradedBoard } from './health/degraded.ts';
import type { Log } from './health/log.ts';
import { createMeshDesk, eventOf } from './pipeline/mesh-desk.ts';
import type { Pipeline } from './pipeline/pipeline.ts';
import type { FromRelay, HostFacts, HubReport, OwnEnvelope, RelayFigures } from './relay/port.ts';
import { createRelayKeeper, type RelayKeeper } from './relay/process/keeper.ts';

export interface HubPart {
  start(): void;
  /** Enrolled, or enrolled anew: begins with these settings. null: off. */
  restart(config: HubConfig | null): Promise<void>;
  own(envelope: OwnEnvelope): void;
  report(): HubReport;
  /** Where it answers: what is banned could not be heard any more. */
  endpoints(): readonly Prefix[];
  /** Every second. */
  tick(): void;
  stop(): Promise<void>;
}

export interface HubPartOptions {
  readonly config: HubConfig | undefined;
  /** <state>/hub */
  readonly directory: string;
  /** <state>/mesh */
  readonly meshDirectory: string;
  readonly entry: string;
}

export interface HubPartDeps {
  readonly pipeline: Pick<Pipeline, 'hear' | 'record'>;
  readonly degraded: DegradedBoard;
  readonly log: Log;
  readonly facts: () => HostFacts;
  readonly now: () => UnixMs;
}

const RESOLVE_EVERY_MS = MINUTE_MS;
const FACTS_EVERY_MS = MINUTE_MS / 2;
const REFUSALS_EVERY_MS = MINUTE_MS;
/** A CDN's worth of addresses: what was answered once stays for as long as it is resolved again. */
const MOST_ENDPOINTS = 64;
const MOST_BEFORE = 1_024;
const DOWN_FIX = 'bans, traps and the mesh go on without it; it is started again by itself, and what is to be reported waits on the disk';

export function createHubPart({ config, directory, meshDirectory, entry }: HubPartOptions, { pipeline, degraded, log, facts, now }: HubPartDeps): HubPart {
  const desk = createMeshDesk({ pipeline, log, now });
  const raised = new Set<string>();
  const counts = new Map<string, number>();
  let current = config ?? null;
  let keeper: RelayKeeper | null = null;
  let figures: RelayFigures | null = null;
  let endpoints: readonly Prefix[] = [];
  let resolvedAt = 0;
  let factsAt = 0;
  let refusalsAt = 0;
  let down = false;
  /** Signed while there was no hub, or not on its disk when it ended: it may be enrolled in the midst of an attack. */
  let before: readonly OwnEnvelope[] = [];

  function complain(key: string, why: string, fix: string): void {
    raised.add(key);
    degraded.raise({ part: 'hub', why, fix }, key);
  }

  function clear(key: string): void {
    if (raised.delete(key)) degraded.clear('hub', key);
  }

  function take(message: Exclude<FromRelay, { kind: 'kept' | 'heard' }>): void {
    switch (message.kind) {
      case 'up':
        down = false;
        clear('process');
        return;
      case 'figures':
        tellState(message.figures);
        figures = message.figures;
        return;
      case 'refused':
        for (const [why, count] of Object.entries(message.counts)) counts.set(why, (counts.get(why) ?? 0) + count);
        tellRefusals();
        return;
      case 'complaint':
        complain(`relay ${message.key}`, message.why, message.fix);
        return;
      case 'recovered':
        clear(`relay ${message.key}`);
        return;
      case 'event':
        event(message.text);
        return;
    }
  }

  function event(summary: string, detail?: Readonly<Record<string, unknown>>): void {
    void pipeline.record([{ ...eventOf('hub', now()), origin: 'hub', summary, ...(detail === undefined ? {} : { detail }) }]);
  }

  /** Known there, and gone again: once each, not every reconnect. */
  function tellState(next: RelayFigures): void {
    if (next.state === 'introduced' && figures?.state !== 'introduced') log.info('the hub knows this host', { waiting: next.waiting });
    if (next.state !== 'introduced' && figures?.state === 'introduced') log.info('the hub is gone; this host goes on alone', { state: next.state });
  }

  function tellRefusals(): void {
    const at = now();
    if (counts.size === 0 || at - refusalsAt < REFUSALS_EVERY_MS) return;
    refusalsAt = at;
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const [most] = [...counts].sort(([, one], [, other]) => other - one);
    event(`between this host and the hub, ${total} not taken (most: ${most?.[0]})`, { counts: Object.fromEntries(counts) });
    counts.clear();
  }

  function begin(): void {
    if (current === null) return;
    const { endpoint, thing, certificate, key, ca, signers } = current;
    const settings = { host: endpoint.host, port: endpoint.port, thing, certificate, key, ca: ca ?? null, signers, directory, meshDirectory };
    keeper = createRelayKeeper(
      { entry, settings },
      {
        facts,
        onMessage: take,
        onHeard: ({ inputs }) => desk.heard(inputs),
        onDown(why, againInMs) {
          down = true;
          log.warn('the relay to the hub is down', { why, againInMs });
          for (const raisedKey of raised) if (raisedKey.startsWith('relay ')) clear(raisedKey); // whoever said it is gone
          complain('process', `the relay to the hub is down: ${why}`, DOWN_FIX);
        },
      },
    );
    keeper.start();
    for (const envelope of before) keeper.own(envelope);
    before = [];
    resolvedAt = 0;
  }

  async function end(): Promise<void> {
    const last = keeper;
    keeper = null;
    before = [...before, ...((await last?.stop()) ?? [])].slice(-MOST_BEFORE);
    figures = null;
    down = false;
    for (const key of raised) clear(key);
  }

  async function resolve(): Promise<void> {
    if (current === null) return;
    const { host } = current.endpoint;
    const plain = parseAddress(host);
    const found = plain.ok
      ? [plain.value]
      : await lookup(host, { all: true }).then(
          all => all.map(({ address }) => address),
          () => [],
        );
    const prefixes = found.flatMap(text => {
      const read = parseAddress(text);
      return read.ok ? [hostPrefix(read.value)] : [];
    });
    // The endpoint answers from ever other addresses: the last ones stay.
    if (prefixes.length > 0) endpoints = [...new Set([...prefixes, ...endpoints])].slice(0, MOST_ENDPOINTS);
  }

  return {
    start: begin,
    async restart(next) {
      await end();
      current = next;
      endpoints = [];
      begin();
    },
    own(envelope) {
      if (keeper === null) before = [...before.slice(1 - MOST_BEFORE), envelope];
      else keeper.own(envelope);
    },
    report() {
      const shown = figures ?? { state: 'waiting' as const, waiting: 0, head: null, receiptAt: null, advisoryAt: null, votesFrom: null };
      const state = current === null ? 'off' : down ? 'down' : figures === null || shown.state === 'waiting' ? 'starting' : shown.state;
      const { waiting, head, receiptAt, advisoryAt, votesFrom } = shown;
      const endpoint = current === null ? null : `${current.endpoint.host}:${current.endpoint.port}`;
      return { state, endpoint, thing: current?.thing ?? null, waiting, head, receiptAt, advisoryAt, votesFrom };
    },
    endpoints: () => endpoints,
    tick() {
      if (current === null) return;
      const at = now();
      desk.tick();
      tellRefusals();
      if (Math.abs(at - factsAt) >= FACTS_EVERY_MS) {
        factsAt = at;
        keeper?.tellFacts();
      }
      if (Math.abs(at - resolvedAt) >= RESOLVE_EVERY_MS) {
        resolvedAt = at;
        void resolve();
      }
    },
    stop: end,
  };
}
