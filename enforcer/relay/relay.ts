/** The relay itself: the machine of the talk (session) on a connection, over the outbox. It waits for what it lacks, says so, and never gives up. */
import { readFile } from 'node:fs/promises';
import type { KeyId, Signatures } from '@honeymesh/intel/envelope';
import { LONGEST_OBJECT_BYTES } from '@honeymesh/intel/hub-advisory';
import { ADVISORY_TOPIC, answerTopic, DIGEST_TOPIC, heartbeatTopic, questionTopic, receiptTopic, reportTopic } from '@honeymesh/intel/hub-topics';
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { MeshTrust } from '../mesh/port.ts';
import { createJudge } from './judge.ts';
import { OUTBOX_FILE, type Outbox, openOutbox } from './outbox.ts';
import type { FromRelay, HostFacts, OwnEnvelope, RelayFigures, RelaySettings } from './port.ts';
import { createPump, type Pump } from './pump.ts';
import { createSession, type Inbound, type Said, type Session } from './session.ts';
import { createSigners } from './signers.ts';
import type { ConnectTransport, Transport } from './transport.ts';
import { type Believed, believed } from './trust.ts';

export interface RelayDeps {
  readonly say: (message: FromRelay) => void;
  /** Loads the device SDK. */
  readonly loadTransport: () => Promise<ConnectTransport>;
  readonly loadTrust: () => Promise<MeshTrust | null>;
  readonly fetchObject: (url: string, bytes: number) => Promise<Uint8Array | null>;
  readonly signatures: Signatures;
  readonly random: () => number;
  readonly now: () => UnixMs;
}

export interface Relay {
  own(envelopes: readonly OwnEnvelope[]): void;
  facts(facts: HostFacts): void;
  took(): void;
  stop(): Promise<void>;
}

const TICK_MS = 1_000;
const FIGURES_EVERY_TICKS = 5;
/** Renewals, revocations, and an identity where there was none. */
const TRUST_EVERY_TICKS = 15;
const DOWN_AFTER_MS = 60_000;
const MOST_EARLY = 65_536;
const ENROL = 'enrol this host again: "honeymesh hub enrol"';

export function startRelay(settings: RelaySettings, firstFacts: HostFacts, deps: RelayDeps): Relay {
  const { say, now, random } = deps;
  const { thing } = settings;
  const raised = new Set<string>();
  const refusals = new Map<string, number>();
  const topics: Readonly<Record<string, Inbound>> = {
    [ADVISORY_TOPIC]: 'advisory',
    [DIGEST_TOPIC]: 'advisory',
    [receiptTopic(thing)]: 'receipt',
    [answerTopic(thing)]: 'answer',
  };
  let facts = firstFacts;
  let believes: Believed | null = null;
  let outbox: Outbox | null = null;
  let outboxKid: KeyId | null = null;
  let session: Session | null = null;
  let pump: Pump | null = null;
  let transport: Transport | null = null;
  let state: RelayFigures['state'] = 'waiting';
  let downSince: UnixMs | null = now();
  let early: OwnEnvelope[] = [];
  let ticks = 0;
  let looking = false;
  let stopped = false;

  function complain(key: string, why: string, fix: string): void {
    raised.add(key);
    say({ kind: 'complaint', key, why, fix });
  }

  function recover(key: string): void {
    if (raised.delete(key)) say({ kind: 'recovered', key });
  }

  function count(why: string, more: number): void {
    const name = refusals.has(why) || refusals.size < 64 ? why : 'other';
    refusals.set(name, (refusals.get(name) ?? 0) + more);
  }

  function act(said: readonly Said[]): void {
    for (const one of said) {
      switch (one.kind) {
        case 'publish':
          publish(one.to, one.payload);
          break;
        case 'advisory':
          pump?.add(one.advisory, one.head);
          break;
        case 'fetch':
          void deps.fetchObject(one.url, Math.min(one.bytes, LONGEST_OBJECT_BYTES)).then(bytes => act(session?.fetched(one.id, bytes, now()) ?? []));
          break;
        case 'refused':
          count(one.why, one.count);
          break;
        case 'complaint':
          complain(one.key, one.why, one.fix);
          break;
        case 'recovered':
          recover(one.key);
          break;
      }
    }
  }

  function publish(to: 'report' | 'heartbeat' | 'question', payload: Uint8Array): void {
    const topic = to === 'report' ? reportTopic(thing) : to === 'heartbeat' ? heartbeatTopic(thing) : questionTopic(thing);
    // Whatever fails is sent again by whoever waits for its receipt or answer.
    transport?.publish(topic, payload, to === 'heartbeat' ? 0 : 1).then(
      () => recover('publish'),
      error => {
        count(`publish: ${error.message}`.slice(0, 120), 1);
        if (/PUBACK/.test(error.message)) complain('publish', `the hub's broker does not take what this host says: ${error.message}`, ENROL);
      },
    );
  }

  async function up(): Promise<void> {
    try {
      await transport?.subscribe(Object.keys(topics));
      recover('subscribe');
    } catch (error) {
      complain('subscribe', error instanceof Error ? error.message : String(error), ENROL);
    }
    state = 'connected';
    downSince = null;
    recover('down');
    act(session?.connected(now()) ?? []);
    figures();
  }

  function down(why: string): void {
    session?.disconnected();
    if (state === 'connected') downSince = now();
    state = 'connecting';
    if (now() - (downSince ?? now()) >= DOWN_AFTER_MS || raised.has('down'))
      complain('down', `the hub is not reached at ${settings.host}:${settings.port}: ${why}`, downFix(why));
    lastWhy = why;
  }
  let lastWhy = 'it does not answer';

  /** Looks at the mesh's trust: an identity to speak with, whom to believe. */
  async function look(): Promise<void> {
    if (looking || stopped) return;
    looking = true;
    try {
      const next = believed(await deps.loadTrust(), deps.signatures, now());
      if (stopped) return;
      if (next === null) {
        const fix =
          'be a member of a mesh first: "honeymesh mesh join TOKEN", or "honeymesh mesh init" for a new one; the hub is asked as soon as this host is';
        complain('identity', 'the hub needs an identity, and this host has no certificate of a mesh that holds', fix);
        return;
      }
      recover('identity');
      if (next.nodeName !== thing) complain('name', `hub.thing is ${thing}, but this host is ${next.nodeName} in the mesh: the hub does not know it`, ENROL);
      else recover('name');
      if (next.version === believes?.version) return;
      believes = next;
      keep(next);
      await connect(next);
    } catch (error) {
      complain(
        'outbox',
        `the outbox for the hub cannot be used: ${error instanceof Error ? error.message : String(error)}`,
        `make room on the disk, or remove ${settings.directory}/${OUTBOX_FILE}`,
      );
    } finally {
      looking = false;
    }
  }

  function keep({ kid }: Believed): void {
    if (outbox !== null && outboxKid === kid) return;
    outbox?.close();
    outbox = openOutbox({ directory: settings.directory, kid });
    outboxKid = kid;
    recover('outbox');
    const waiting = early;
    early = [];
    add(waiting);
  }

  async function connect({ clusterId, kid, roster, introduction }: Believed): Promise<void> {
    if (outbox === null) return;
    const judge = createJudge({ clusterId, kid }, { roster, signatures: deps.signatures });
    const kept = outbox;
    pump ??= createPump(judge, {
      hand: inputs => say({ kind: 'heard', inputs }),
      refused: why => count(why, 1),
      keepHead: head => outbox?.keepHead(head),
      now,
    });
    pump.judgeBy(judge);
    if (session !== null && outbox === kept && sessionKid === kid) {
      session.certify(introduction);
      return;
    }
    sessionKid = kid;
    session = createSession({ certificates: introduction }, { outbox, isHubs: createSigners(settings.signers, clusterId), facts: () => facts, random });
    if (transport !== null) {
      if (state === 'connected') act(session.connected(now()));
      return;
    }
    state = 'connecting';
    try {
      const [certificate, key, ca] = await Promise.all(
        [settings.certificate, settings.key, settings.ca].map(path => (path === null ? null : readFile(path, 'utf8'))),
      );
      const open = await deps.loadTransport();
      if (stopped) return;
      transport = open(
        { host: settings.host, port: settings.port, clientId: thing, certificate: certificate ?? '', key: key ?? '', ca: ca ?? null },
        { onConnected: () => void up(), onDisconnected: down, onMessage: hear },
      );
      transport.start();
      recover('files');
    } catch (error) {
      session = null;
      believes = null; // tried again at the next look
      complain(
        'files',
        `the connection to the hub cannot be made: ${error instanceof Error ? error.message : String(error)}`,
        `look at hub.certificate, hub.key and hub.ca, or ${ENROL}`,
      );
    }
  }
  let sessionKid: KeyId | null = null;
  let toldKnown = false;

  function hear(topic: string, payload: Uint8Array): void {
    const what = topics[topic];
    if (what === undefined) {
      count('a message on another topic', 1);
      return;
    }
    // As if it had been lost on the way: its number is missing, and asked for later.
    if (what === 'advisory' && pump?.hasRoom === false) {
      count('advisory: no room', 1);
      return;
    }
    act(session?.message(what, payload, now()) ?? []);
  }

  function add(envelopes: readonly OwnEnvelope[]): void {
    if (envelopes.length === 0) return;
    if (outbox === null) {
      early = [...early, ...envelopes].slice(-MOST_EARLY);
      return;
    }
    try {
      outbox.add(envelopes, now());
      recover('outbox');
      say({ kind: 'kept', count: envelopes.length });
    } catch (error) {
      early = [...early, ...envelopes].slice(-MOST_EARLY);
      complain(
        'outbox',
        `the outbox for the hub cannot be written: ${error instanceof Error ? error.message : String(error)}`,
        'make room on the disk; what is to be reported waits in memory',
      );
    }
    act(session?.added(now()) ?? []);
  }

  function figures(): void {
    const seen = session?.figures();
    const shown = (at: UnixMs | null | undefined): string | null => (at == null ? null : rfc3339(at));
    say({
      kind: 'figures',
      figures: {
        state: state === 'connected' && seen?.introduced === true ? 'introduced' : state,
        waiting: (outbox?.waiting ?? 0) + early.length,
        head: seen?.head ?? null,
        receiptAt: shown(seen?.receiptAt),
        advisoryAt: shown(seen?.advisoryAt),
        votesFrom: shown(seen?.votesFrom),
      },
    });
    if (refusals.size === 0) return;
    say({ kind: 'refused', counts: Object.fromEntries(refusals) });
    refusals.clear();
  }

  const ticking = setInterval(() => {
    if (ticks++ % TRUST_EVERY_TICKS === 0) void look();
    if (outbox !== null && early.length > 0) add(early.splice(0));
    act(session?.tick(now()) ?? []);
    const known = session?.figures().introduced === true;
    if (known !== toldKnown) figures();
    toldKnown = known;
    if (transport !== null && state === 'connecting' && now() - (downSince ?? now()) >= DOWN_AFTER_MS && !raised.has('down')) down(lastWhy);
    if (ticks % FIGURES_EVERY_TICKS === 0) figures();
  }, TICK_MS);
  void look();

  return {
    own: add,
    facts(next) {
      facts = next;
    },
    took: () => pump?.took(),
    async stop() {
      stopped = true;
      clearInterval(ticking);
      await transport?.stop();
      outbox?.close();
      outbox = null;
    },
  };
}

function downFix(why: string): string {
  const rest = 'this host protects itself and the mesh goes on; what is to be reported waits on the disk';
  if (/TLS|certificate|CONNACK/i.test(why)) return `is its certificate ACTIVE in IoT, and hub.ca the root of that endpoint? ${rest}`;
  if (/DNS|host/i.test(why)) return `is hub.endpoint right, and does this host resolve names? ${rest}`;
  return `is TCP 8883 outwards open here? ${rest}`;
}
