/** The peer's commands: one a line, `#ID` first if its reply is to bear one. */
import type { MeshNode } from '#enforcer/mesh/node/node.ts';
import { endpointFrom, parseTarget, textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import type { Endpoint } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { base64, durationMs, fromBase64, list } from './flags.ts';
import type { PeerState } from './peer.ts';
import { describeMember, latin1Of, nameOf, nowMicros, type Say } from './report.ts';
import type { SignedCommands } from './signed.ts';
import { type createWire, fromHex } from './wire-commands.ts';

interface CommandDeps {
  readonly node: MeshNode;
  readonly keyring: Keyring;
  readonly state: PeerState;
  readonly wire: ReturnType<typeof createWire>;
  /** Null: without an identity. */
  readonly signed: SignedCommands | null;
  readonly say: Say;
  /** What we broadcast ourselves is not news when it comes back. */
  readonly seen: (payload: Uint8Array) => void;
}

type Fields = Readonly<Record<string, unknown>>;
type Command = (args: readonly string[]) => object | Promise<object>;

/** A command that fails says so in its reply; it never ends the peer. */
export function createCommands({ node, keyring, state, wire, signed, say, seen }: CommandDeps) {
  const text = (args: readonly string[], at: number, what: string): string => {
    const value = args[at];
    if (value === undefined) throw new Error(`${what} is missing`);
    return value;
  };
  /** Empty base64 is no word on the line. */
  const bytes = (args: readonly string[], at: number): Uint8Array => fromBase64(args[at] ?? '');
  const whole = (reasons: readonly string[]): Fields => {
    if (reasons.length > 0) throw new Error(reasons.join(', '));
    return {};
  };
  const changed = (result: { readonly ok: boolean; readonly why?: string }): Fields => {
    if (!result.ok) throw new Error(result.why);
    return {};
  };

  const withIdentity = (): SignedCommands => {
    if (signed === null) throw new Error('this node was started without -identity');
    return signed;
  };

  const commands: Readonly<Record<string, Command>> = {
    async join(args) {
      const { contacted, failed, unresolved } = await node.join(list(text(args, 0, 'whom to join')));
      const errors = [
        ...failed.map(({ target, why, text: words }) => `${textOfEndpoint(target)}: ${words === '' ? why : words}`),
        ...unresolved.map(({ target, why }) => `${target}: ${why}`),
      ];
      if (contacted === 0) throw new Error(errors.join('; '));
      return { contacted, ...(errors.length > 0 ? { failed: errors } : {}) };
    },
    async leave(args) {
      const how = await node.leave(args[0] === undefined ? 5000 : durationMs(args[0]));
      if (how === 'timeout') throw new Error('timeout waiting for the leave to be gossiped');
      return { how };
    },
    meta(args) {
      const fields = whole(node.tell({ kind: 'update-meta', meta: bytes(args, 0) }));
      state.meta = bytes(args, 0);
      return fields;
    },
    state(args) {
      if (signed !== null) throw new Error('with an identity the state is of HM1');
      state.state = bytes(args, 0);
      return {};
    },
    members() {
      const members = node.members();
      // As memberlist counts its members: who is suspected is one.
      return { alive: members.filter(({ state }) => state === 'alive' || state === 'suspect').length, members: members.map(describeMember) };
    },
    stats() {
      const { user, system } = process.cpuUsage();
      return { ...node.stats(), cpu_us: user + system, rss: process.memoryUsage.rss(), rss_peak: process.resourceUsage().maxRSS * 1024 };
    },
    keys: () => ({ keys: keyring.keys.map(key => base64(key.bytes)) }),
    broadcast(args) {
      const payload = bytes(args, 0);
      const at = nowMicros();
      const fields = whole(node.tell({ kind: 'broadcast', payload, push: true }));
      seen(payload);
      return { ...fields, at };
    },
    async 'send-reliable'(args) {
      const failure = await node.sendReliable(latin1Of(text(args, 0, 'the node')), bytes(args, 1));
      if (failure !== null) throw new Error(failure);
      return {};
    },
    'send-best-effort': args => whole(node.tell({ kind: 'send-best-effort', to: latin1Of(text(args, 0, 'the node')), payload: bytes(args, 1) })),
    'send-to': args => whole(node.tell({ kind: 'send-best-effort', to: place(text(args, 0, 'the address')), payload: bytes(args, 1) })),
    'key-add': args => {
      if (keyring.primary === null) throw new Error('this node was started without a key');
      return changed(keyring.add(bytes(args, 0)));
    },
    'key-use': args => changed(keyring.use(bytes(args, 0))),
    'key-remove': args => changed(keyring.remove(bytes(args, 0))),
    async ping(args) {
      const event = await node.ping(latin1Of(text(args, 0, 'the node')));
      if (event.kind === 'ping-failed') throw new Error(event.why);
      return { node: nameOf(event.node), rtt_us: Math.round(event.rttMs * 1000), payload: base64(event.payload ?? new Uint8Array()) };
    },
    async packet(args) {
      await wire.packet(place(text(args, 0, 'the address')), fromHex(text(args, 1, 'the message')));
      return {};
    },
    async raw(args) {
      await wire.raw(place(text(args, 0, 'the address')), fromHex(text(args, 1, 'the datagram')));
      return {};
    },
    stream: args => wire.stream(place(text(args, 0, 'the address')), fromHex(text(args, 1, 'the message'))),
    watch(args) {
      state.watch = durationMs(text(args, 0, 'how often')) > 0;
      return {};
    },
    loss(args) {
      const loss = Number(text(args, 0, 'the share'));
      if (!(loss >= 0 && loss <= 1)) throw new Error('a share from 0 to 1');
      state.loss = loss;
      return {};
    },
    /** Beyond the contract, for partitions: our datagrams to these go nowhere; without any, all go again. */
    block(args) {
      state.blocked = new Set(list(args[0]).map(each => textOfEndpoint(place(each))));
      return {};
    },
    relay(args) {
      state.relay = text(args, 0, 'true or false') === 'true';
      return {};
    },
    intel: args => withIdentity().intel(args),
    withdraw: args => withIdentity().withdraw(args),
    quit: () => ({}),
  };

  return {
    /** False: that was `quit`. */
    async run(line: string): Promise<boolean> {
      const words = line.trim().split(/\s+/);
      const id = words[0]?.startsWith('#') ? words.shift()?.slice(1) : undefined;
      const [name = '', ...args] = words;
      if (name === '') return true;
      const head = { cmd: name, ...(id === undefined ? {} : { id }) };
      try {
        const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
        if (command === undefined) throw new Error('there is no such command');
        say('reply', { ...head, ok: true, ...(await command(args)) });
      } catch (error) {
        say('reply', { ...head, ok: false, error: error instanceof Error ? error.message : String(error) });
      }
      return name !== 'quit';
    },
  };
}

function place(text: string): Endpoint {
  const target = parseTarget(text);
  const endpoint = target.ok ? endpointFrom(target.value.host, target.value.port) : null;
  if (endpoint === null) throw new Error(`not an address with a port: ${text}`);
  return endpoint;
}
