/** The traps' connections on the addon's engine: reads its records, one batch a turn of the loop, and tells them as events. */
import { type Address, addressFromBytes } from '@honeymesh/intel/address';
import { addon, CLOSED, mustHave, type NativeConnections, WRITTEN } from '../../kernel/native.ts';
import { LARGEST_UNSENT, type SocketEvents, type SocketId, type TrapSockets } from './socket-port.ts';

/** As in native/connections.h. */
const KIND = { accepted4: 1, accepted6: 2, received: 3, finished: 4, drained: 5, closed: 6, reset: 7 } as const;
const HEADER = 16; // bytes: kind, id low, id high, length or ports
const BUFFER_BYTES = 1024 * 1024; // what one turn of the loop can bring; only what it brings is ever touched

export interface CountedTrapSockets extends TrapSockets {
  /** Connections that were accepted, told and closed at once, since the process may have no more descriptors. */
  shed(): number;
}

/** HM_TRAP_LISTEN from `start` where the descriptors are no listening sockets. */
export function createTrapSockets(): CountedTrapSockets {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const words = new Uint32Array(buffer.buffer);
  let engine: NativeConnections | undefined;
  let events: SocketEvents | undefined;
  /** Ended by a call of ours: told at the end of the batch, never from within the call. */
  const ended: { readonly id: SocketId; readonly how: 'closed' | 'reset' }[] = [];
  /** Closed while a batch is told: what it still holds of these is not. */
  const silent = new Set<SocketId>();
  let telling = false;
  let planned = false;
  let trouble: { readonly error: unknown } | undefined;
  let lastOwn: { readonly bytes: Uint8Array; readonly address: Address } = { bytes: new Uint8Array(), address: '' as Address };

  /** One session's failure must not cost the others their events: it is thrown when all of the batch is told. */
  function attempt(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      trouble ??= { error };
    }
  }

  /** Most connections come to one address: one text serves them all. */
  function ownAddress(bytes: Uint8Array): Address {
    if (!sameBytes(lastOwn.bytes, bytes)) lastOwn = { bytes: bytes.slice(), address: addressOf(bytes) };
    return lastOwn.address;
  }

  function tellRecord(to: SocketEvents, at: number): number {
    const word = at >> 2;
    const kind = words[word];
    const id = ((words[word + 1] ?? 0) + (words[word + 2] ?? 0) * 2 ** 32) as SocketId;
    const last = words[word + 3] ?? 0;
    const body = at + HEADER;
    if (kind === KIND.received) {
      if (!silent.has(id)) attempt(() => to.received(id, buffer.subarray(body, body + last)));
      return body + ((last + 3) & ~3);
    }
    if (kind === KIND.accepted4 || kind === KIND.accepted6) {
      const width = kind === KIND.accepted4 ? 4 : 16;
      const source = addressOf(buffer.subarray(body, body + width));
      const destination = ownAddress(buffer.subarray(body + width, body + 2 * width));
      attempt(() => to.accepted({ id, source, sourcePort: last >>> 16, destination, port: last & 0xffff }));
      return body + 2 * width;
    }
    if (kind === KIND.closed || kind === KIND.reset) attempt(() => to.gone(id, kind === KIND.closed ? 'closed' : 'reset'));
    else if (!silent.has(id)) attempt(() => (kind === KIND.finished ? to.finished(id) : to.drained(id)));
    return body;
  }

  function tell(bytes: number): void {
    const to = events;
    if (to === undefined) return;
    telling = true;
    for (let at = 0; at < bytes && events !== undefined; ) at = tellRecord(to, at);
    // Who is told of an end may end others.
    for (let at = 0; at < ended.length && events !== undefined; at++) {
      const end = ended[at];
      if (end !== undefined) attempt(() => to.gone(end.id, end.how));
    }
    ended.length = 0;
    silent.clear();
    telling = false;
    if (events !== undefined) attempt(() => to.settled());
    const failed = trouble;
    trouble = undefined;
    if (failed !== undefined) throw failed.error;
  }

  function end(id: SocketId, how: 'closed' | 'reset'): void {
    ended.push({ id, how });
    if (telling) silent.add(id);
    else if (!planned) {
      planned = true;
      setImmediate(() => {
        planned = false;
        if (ended.length > 0) tell(0);
      });
    }
  }

  return {
    start(fds, to) {
      events = to;
      engine = mustHave(addon().startConnections(fds, buffer, LARGEST_UNSENT, tell), 'HM_TRAP_LISTEN', "the traps' listeners cannot be used");
    },
    write(id, bytes) {
      switch (engine?.write(id, bytes)) {
        case WRITTEN.sent:
          return 'sent';
        case WRITTEN.waiting:
          return 'waiting';
        case WRITTEN.lost:
          end(id, 'reset');
          return 'gone';
        default:
          return 'gone';
      }
    },
    close(id, lingerMs) {
      const closed = engine?.close(id, Math.max(0, Math.ceil(lingerMs)));
      if (closed === CLOSED.done) end(id, 'closed');
      else if (closed === CLOSED.lingers && telling) silent.add(id);
    },
    pause: id => engine?.pause(id),
    resume: id => engine?.resume(id),
    count: () => engine?.count() ?? 0,
    shed: () => engine?.shed() ?? 0,
    stop() {
      events = undefined;
      engine?.stop();
    },
  };
}

const addressOf = (bytes: Uint8Array): Address =>
  bytes.length === 4 ? (`${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as Address) : addressFromBytes(bytes);

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}
