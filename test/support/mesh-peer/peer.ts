/** The scriptable node: the real core and driver, told what to do on stdin, and telling what it sees on stdout. Nothing else. */
import { createInterface } from 'node:readline';
import { isEnvelope } from '@honeymesh/intel/envelope';
import type { Envelope } from '#enforcer/mesh/node/envelope.ts';
import { type MeshNode, type NodeDeps, type NodeOptions, type NodeRefusal, startNode } from '#enforcer/mesh/node/node.ts';
import { endpointFrom, parseTarget, textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import { createLookup } from '#enforcer/mesh/node/resolve.ts';
import type { Endpoint } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { MemberEvent } from '#enforcer/mesh/protocol/core/outputs.ts';
import { createKeyring, type Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { createCommands } from './commands.ts';
import type { Cover } from './dissect.ts';
import { base64, type PeerFlags, parseFlags } from './flags.ts';
import { createRelay } from './relay.ts';
import { createSay, describeMember, latin1Of, nameOf, nowMicros, type Say } from './report.ts';
import type { SignedPeer, startSigned } from './signed.ts';
import { createTrace } from './trace.ts';
import { createWire } from './wire-commands.ts';

/** What may change while it runs. */
export interface PeerState {
  state: Uint8Array;
  meta: Uint8Array;
  loss: number;
  relay: boolean;
  /** Where our datagrams do not go, as `IP:PORT`. */
  blocked: ReadonlySet<string>;
  watch: boolean;
}

const MOST_SEEN = 65_536;
const END_MS = 1000;

function flagsOrExit(): PeerFlags {
  try {
    return parseFlags(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`peer: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

/** Null: what was given is no `ADDR[:PORT]`. */
function placeFrom(text: string): Endpoint | null {
  const target = parseTarget(text, 1);
  if (!target.ok) return null;
  const named = /^\[[^\]]*\]:\d+$|^[^:]*:\d+$/.test(text);
  return endpointFrom(target.value.host, named ? target.value.port : 0);
}

export async function runPeer(): Promise<void> {
  const flags = flagsOrExit();
  const say = createSay(1);
  const log = (line: string): void => {
    if (flags.log) process.stderr.write(`${line}\n`);
  };
  let keyring = createKeyring(flags.keys);
  const state: PeerState = { state: flags.state, meta: flags.meta, loss: flags.loss, relay: flags.relay, blocked: new Set(), watch: flags.watch };
  const advertise = flags.advertise === null ? null : placeFrom(flags.advertise);
  if (flags.advertise !== null && advertise === null) {
    process.stderr.write(`peer: -advertise ${flags.advertise}: ADDR[:PORT]\n`);
    process.exit(2);
  }
  const seen = createSeen();
  let node: MeshNode | null = null;
  const relay = createRelay(payload => node?.tell({ kind: 'broadcast', ...payload }));
  const cover: Cover = {
    get keyring() {
      return keyring;
    },
    label: flags.label,
  };
  const trace = flags.trace ? createTrace(cover, say) : null;

  const deps = {
    onEvent: createTeller(flags, state, say, payload => {
      const first = seen.first(payload);
      // HM1 passes on its own.
      if (first && state.relay && (flags.identity === null || !isEnvelope(payload))) relay.take(payload);
      return first;
    }),
    lookup: createLookup({ resolvConf: flags.dnsConfigPath, timeoutMs: 2000 }),
    onRefusal: (refusal: NodeRefusal) => log(`refused (${refusal.by}): ${refusal.why}${refusal.from === null ? '' : ` from ${textOfEndpoint(refusal.from)}`}`),
    onTrouble: (error: Error) => log(`trouble: ${error.message}`),
    letsOut(bytes: Uint8Array, to: Endpoint) {
      trace?.sent(bytes, to);
      if (state.blocked.size > 0 && state.blocked.has(textOfEndpoint(to))) return false;
      return state.loss === 0 || Math.random() >= state.loss;
    },
    wrap: (envelope: Envelope) => relay.wrap(trace === null ? envelope : trace.wrap(envelope)),
  };
  const started =
    flags.identity === null ? await startBare(flags, keyring, advertise, state, deps) : await startWithIdentity(flags, advertise, deps, { say, log });
  if (typeof started === 'string') {
    process.stderr.write(`peer: ${started}\n`);
    process.exit(1);
  }
  node = started.node;
  keyring = started.keyring;
  say('ready', { node: nameOf(node.self().name), addr: textOfEndpoint(node.advertised) });

  const { verifyOutgoing, tuning, versions } = flags;
  const wire = createWire({ ...cover, protocol: versions[2] ?? 2, verifyOutgoing, timeoutMs: tuning.tcpTimeoutMs });
  const commands = createCommands({ node, keyring, state, wire, signed: started.commands, say, seen: payload => void seen.first(payload) });
  if (flags.log && flags.queueCheckMs > 0) setInterval(() => log(queuesOf(node)), flags.queueCheckMs).unref();
  const quit = once(async () => {
    await node?.stop();
    say('quit');
    process.exit(0);
  });
  process.on('SIGTERM', quit);
  process.on('SIGINT', quit);
  if (flags.join.length > 0) await commands.run(`join ${flags.join.join(',')}`);
  // One after the other: what comes after a join may count on it.
  let last = Promise.resolve(true);
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on('line', line => {
    last = last.then(async going => going && (await commands.run(line)));
    void last.then(going => going || quit());
  });
  lines.on('close', () => {
    // Whoever goes away waits for no join that nobody answers.
    setTimeout(quit, END_MS);
    void last.then(quit);
  });
}

type Started = Pick<SignedPeer, 'node' | 'keyring'> & { readonly commands: SignedPeer['commands'] | null };

async function startBare(flags: PeerFlags, keyring: Keyring, advertise: Endpoint | null, state: PeerState, deps: NodeDeps): Promise<Started | string> {
  const hooks = { localState: () => state.state, ...(flags.ackPayload === null ? {} : { ackPayload: () => flags.ackPayload }) };
  const started = await startNode(optionsOf(flags, keyring, advertise), { ...deps, hooks });
  return started.ok ? { node: started.value, keyring, commands: null } : `${flags.bind}:${flags.port}: ${started.why}`;
}

/** All that it stands on is loaded only where it is wanted: thousands of bare nodes are started by benches. */
async function startWithIdentity(...args: Parameters<typeof startSigned>): Promise<Started | string> {
  const signed = await import('./signed.ts');
  return signed.startSigned(...args);
}

function optionsOf(flags: PeerFlags, keyring: Keyring, advertise: Endpoint | null): NodeOptions {
  const { label, skipLabelCheck, verifyIncoming, verifyOutgoing, compress } = flags;
  return {
    member: { ...flags.tuning, name: latin1Of(flags.name), meta: flags.meta, versions: flags.versions },
    bind: flags.bind,
    port: flags.port,
    join: flags.join,
    envelope: { label, skipLabelCheck, keyring, verifyIncoming, verifyOutgoing, compress },
    ...(advertise === null ? {} : { advertise }),
  };
}

/** Events of the core as the contract has them. */
function createTeller(flags: PeerFlags, state: PeerState, say: Say, hear: (payload: Uint8Array) => boolean): (event: MemberEvent) => void {
  return event => {
    switch (event.kind) {
      case 'join':
      case 'leave':
      case 'update':
        say(event.kind, describeMember(event.member));
        return;
      case 'suspect':
      case 'alive':
        if (!state.watch) return;
        say(event.kind, {
          node: nameOf(event.member.name),
          was: event.kind === 'suspect' ? 'alive' : 'suspect',
          inc: event.member.incarnation,
          at: nowMicros(),
        });
        return;
      case 'conflict':
        say('conflict', { node: nameOf(event.member.name), addr: textOfEndpoint(event.member), other: textOfEndpoint(event.other) });
        return;
      case 'user': {
        const from = flags.source ? { from: textOfEndpoint(event.from) } : {};
        const via = event.via === 'stream' ? 'tcp' : 'udp';
        say('user', { data: base64(event.payload), len: event.payload.length, first: hear(event.payload), via, ...from });
        return;
      }
      case 'merge':
        say('merge', { join: event.join, state: base64(event.userState) });
        return;
      case 'ping':
        if (flags.pings && event.id === null) say('ping', pingFields(event));
        return;
    }
  };
}

export const pingFields = ({ node, rttMs, payload }: Extract<MemberEvent, { kind: 'ping' }>) => ({
  node: nameOf(node),
  rtt_us: Math.round(rttMs * 1000),
  payload: base64(payload ?? new Uint8Array()),
});

/** Which payloads came before; the oldest are forgotten. */
function createSeen() {
  const known = new Set<string>();
  return {
    first(payload: Uint8Array): boolean {
      const text = Buffer.from(payload).toString('latin1');
      if (known.has(text)) return false;
      known.add(text);
      const [oldest] = known;
      if (known.size > MOST_SEEN && oldest !== undefined) known.delete(oldest);
      return true;
    },
  };
}

function queuesOf(node: MeshNode | null): string {
  const { newsQueued = 0, userQueued = 0, handoffQueued = 0 } = node?.stats() ?? {};
  return `queued: ${newsQueued} of members, ${userQueued} of users, ${handoffQueued} not yet read`;
}

function once(action: () => Promise<void>): () => void {
  let begun = false;
  return () => {
    if (begun) return;
    begun = true;
    void action();
  };
}
