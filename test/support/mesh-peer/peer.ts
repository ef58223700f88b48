/** The scriptable node: the real core and driver, told what to do on stdin, and telling what it sees on stdout. Nothing else. */
import { createInterface } from 'node:readline';
import { type MeshNode, type NodeOptions, startNode } from '#enforcer/mesh/node/node.ts';
import { endpointFrom, parseTarget, textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import type { Endpoint } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { MemberEvent } from '#enforcer/mesh/protocol/core/outputs.ts';
import { createKeyring, type Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { createCommands } from './commands.ts';
import { base64, type PeerFlags, parseFlags } from './flags.ts';
import { createSay, describeMember, latin1Of, nameOf, nowMicros, type Say } from './report.ts';

/** What may change while it runs. */
export interface PeerState {
  state: Uint8Array;
  meta: Uint8Array;
  loss: number;
  relay: boolean;
  watch: boolean;
}

const MOST_SEEN = 65_536;

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
  const keyring = createKeyring(flags.keys);
  const state: PeerState = { state: flags.state, meta: flags.meta, loss: flags.loss, relay: flags.relay, watch: flags.watch };
  const advertise = flags.advertise === null ? null : placeFrom(flags.advertise);
  if (flags.advertise !== null && advertise === null) {
    process.stderr.write(`peer: -advertise ${flags.advertise}: ADDR[:PORT]\n`);
    process.exit(2);
  }
  const seen = createSeen();
  const relays: Uint8Array[] = [];
  let node: MeshNode | null = null;

  /** From within an event the core is busy: what is passed on is passed on right after. */
  function relay(payload: Uint8Array): void {
    relays.push(payload);
    if (relays.length > 1) return;
    setImmediate(() => {
      for (const each of relays.splice(0)) node?.tell({ kind: 'broadcast', payload: each, push: false });
    });
  }

  const started = await startNode(optionsOf(flags, keyring, advertise), {
    hooks: { localState: () => state.state, ...(flags.ackPayload === null ? {} : { ackPayload: () => flags.ackPayload }) },
    onEvent: createTeller(flags, state, say, payload => {
      const first = seen.first(payload);
      if (first && state.relay) relay(payload);
      return first;
    }),
    onRefusal: refusal => log(`refused (${refusal.by}): ${refusal.why}${refusal.from === null ? '' : ` from ${textOfEndpoint(refusal.from)}`}`),
    onTrouble: error => log(`trouble: ${error.message}`),
    letsOut: () => state.loss === 0 || Math.random() >= state.loss,
  });
  if (!started.ok) {
    process.stderr.write(`peer: ${flags.bind}:${flags.port}: ${started.why}\n`);
    process.exit(1);
  }
  node = started.value;
  say('ready', { node: flags.name, addr: textOfEndpoint(node.advertised) });

  const commands = createCommands({ node, keyring, state, say, seen: payload => void seen.first(payload) });
  const quit = once(async () => {
    await node?.stop();
    say('quit');
    process.exit(0);
  });
  process.on('SIGTERM', quit);
  process.on('SIGINT', quit);
  if (flags.join.length > 0) await commands.run(`join ${flags.join.join(',')}`);
  // One after the other: what comes after a join may count on it.
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (!(await commands.run(line))) break;
  }
  quit();
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

function once(action: () => Promise<void>): () => void {
  let begun = false;
  return () => {
    if (begun) return;
    begun = true;
    void action();
  };
}
