/** Which machine a connection gets: by its port; on any other port by what the source says first, or by speaking first to one that says nothing. */
import type { Outcome, ProtocolFactory, TrapContext, TrapMachine, TrapProtocol } from './machine.ts';
import { payload } from './observation.ts';
import { BINARY_PROTOCOLS } from './registry-binary.ts';
import { TEXT_PROTOCOLS } from './registry-text.ts';
import { TLS_PROTOCOLS } from './registry-tls.ts';

export const PROTOCOLS: readonly TrapProtocol[] = [...TEXT_PROTOCOLS, ...BINARY_PROTOCOLS, ...TLS_PROTOCOLS];

const BY_PORT = new Map(PROTOCOLS.flatMap(protocol => protocol.ports.map(port => [port, protocol] as const)));
const BY_NAME = new Map(PROTOCOLS.map(protocol => [protocol.name, protocol]));

/** A service that waits for its client answers within milliseconds; one that greets late looks like one behind a slow look-up. */
const SILENCE_MS = 900;
const LONGEST_LOOK = 4096; // a ClientHello of today has about 1,800 bytes
const SHORTEST_LOOK = 8; // a client that sends a letter at a time is heard out
/** What a silent visitor of an unknown port meets: services that people do put on other ports. */
const GREETERS = ['ftp', 'telnet', 'ssh', 'smtp'] as const;

/** What takes the place of a protocol's own machine, by the protocol's name: ssh, played on a library that is not pure. */
export type Stead = ReadonlyMap<string, ProtocolFactory>;

/** The machines of all ports. */
export function createProtocolTraps(stead: Stead): ProtocolFactory {
  const create = (protocol: TrapProtocol, context: TrapContext): TrapMachine => (stead.get(protocol.name) ?? protocol.create)(context);
  return context => {
    const protocol = BY_PORT.get(context.port);
    return protocol === undefined ? createUnknownPortTrap(context, create) : create(protocol, context);
  };
}

/** The machine of one connection; ssh is a greeting only. */
export const createProtocolTrap: ProtocolFactory = createProtocolTraps(new Map());

/** The protocol that `port` is known for. */
export const protocolOf = (port: number): TrapProtocol | undefined => BY_PORT.get(port);

/** Whose first message `first` is the beginning of; `maybe`: more bytes can tell; `undefined`: nobody's. Never throws. */
export function detect(first: Uint8Array): TrapProtocol | 'maybe' | undefined {
  let maybe = false;
  for (const protocol of PROTOCOLS) {
    const recognition = protocol.recognise?.(first);
    if (recognition === 'yes') return protocol;
    if (recognition === 'maybe') maybe = true;
  }
  const short = first.length < SHORTEST_LOOK && !first.includes(0x0a);
  return short || (maybe && first.length < LONGEST_LOOK) ? 'maybe' : undefined;
}

function createUnknownPortTrap(context: TrapContext, create: (protocol: TrapProtocol, context: TrapContext) => TrapMachine): TrapMachine {
  const { limits } = context;
  let inner: TrapMachine | undefined;
  let waiting: Buffer = Buffer.alloc(0);
  let received = 0;
  let speakAtMs = 0;
  let deadlineMs = 0;
  let unknown = false;
  let closed = false;

  const over = (last: Outcome['observations']): Outcome => {
    closed = true;
    return { observations: last, wakeAtMs: 'never', close: true };
  };
  const listening = (observations: Outcome['observations'] = []): Outcome => ({
    observations,
    wakeAtMs: received === 0 ? Math.min(speakAtMs, deadlineMs) : deadlineMs,
    close: false,
  });

  /** Hands over to `machine`, with what was said already. */
  function become(machine: TrapMachine, nowMs: number): Outcome {
    inner = machine;
    const opened = machine.open(nowMs);
    if (waiting.length === 0 || opened.close) return opened;
    const said = waiting;
    waiting = Buffer.alloc(0);
    const answered = machine.receive(said, nowMs);
    const parts = [opened.send, answered.send].filter(part => part !== undefined);
    return { ...answered, observations: [...opened.observations, ...answered.observations], ...(parts.length === 0 ? {} : { send: Buffer.concat(parts) }) };
  }

  return {
    get protocol() {
      return inner?.protocol ?? 'unknown';
    },
    open(nowMs) {
      deadlineMs = nowMs + Math.min(limits.patienceMs, limits.sessionMs);
      speakAtMs = nowMs + SILENCE_MS;
      return listening();
    },
    receive(bytes, nowMs) {
      if (inner !== undefined) return inner.receive(bytes, nowMs);
      if (closed) return over([]);
      if (nowMs >= deadlineMs) return over([{ kind: 'deadline' }]);
      received += bytes.length;
      if (received > limits.receivedBytes) return over([{ kind: 'too-much', receivedBytes: received }]);
      if (unknown || bytes.length === 0) return listening(bytes.length === 0 ? [] : [payload('unknown', Buffer.from(bytes).toString('latin1'))]);
      waiting = Buffer.concat([waiting, bytes]);
      const protocol = detect(waiting);
      if (protocol === 'maybe') return listening();
      if (protocol !== undefined) return become(create(protocol, context), nowMs);
      unknown = true;
      const said = waiting.toString('latin1');
      waiting = Buffer.alloc(0);
      return listening([payload('unknown', said)]);
    },
    expire(nowMs) {
      if (inner !== undefined) return inner.expire(nowMs);
      if (closed) return over([]);
      if (nowMs >= deadlineMs) return over([...(waiting.length === 0 ? [] : [payload('unknown', waiting.toString('latin1'))]), { kind: 'deadline' }]);
      const greeter = BY_NAME.get(context.persona.pick(`greeter:${context.port}`, GREETERS));
      if (received > 0 || nowMs < speakAtMs || greeter === undefined) return listening();
      return become(create(greeter, context), nowMs);
    },
    secured: nowMs => inner?.secured?.(nowMs) ?? listening(),
    ended: () => inner?.ended?.(),
  };
}
