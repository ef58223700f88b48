/** The traps' connections as a double in memory: a test says what peers do, and reads what they were sent. */
import type { Address } from '@honeymesh/intel/address';
import type { SocketEvents, SocketId, TrapSockets } from '#enforcer/traps/server/socket-port.ts';

export interface Peer {
  readonly id: SocketId;
  says(text: string): void;
  finishes(): void;
  resets(): void;
  /** From now on nothing that is written is taken. */
  stalls(): void;
  /** It takes what waits. */
  reads(): void;
  /** All that it was sent; a character for each byte. */
  heard(): string;
  state(): 'open' | 'paused' | 'reset' | 'lingering';
}

export interface MemorySockets extends TrapSockets {
  connect(port: number, source?: string, destination?: string): Peer;
}

export function createMemorySockets(): MemorySockets {
  let events: SocketEvents | undefined;
  let last = 0;
  const peers = new Map<SocketId, { heard: string; waiting: string; stalled: boolean; paused: boolean; state: 'open' | 'reset' | 'lingering' }>();
  const open = new Set<SocketId>();

  function tell(what: (to: SocketEvents) => void): void {
    if (events === undefined) throw new Error('nobody listens');
    what(events);
    events.settled();
  }

  return {
    start(_fds, to) {
      events = to;
    },
    write(id, bytes) {
      const peer = peers.get(id);
      if (peer === undefined || !open.has(id)) return 'gone';
      const text = Buffer.from(bytes).toString('latin1');
      if (!peer.stalled) {
        peer.heard += text;
        return 'sent';
      }
      peer.waiting += text;
      return 'waiting';
    },
    close(id, lingerMs) {
      const peer = peers.get(id);
      if (peer === undefined || !open.delete(id)) return;
      peer.state = lingerMs > 0 ? 'lingering' : 'reset';
    },
    pause(id) {
      const peer = peers.get(id);
      if (peer !== undefined) peer.paused = true;
    },
    resume(id) {
      const peer = peers.get(id);
      if (peer !== undefined) peer.paused = false;
    },
    count: () => open.size,
    stop() {
      for (const id of open) this.close(id, 0);
      events = undefined;
    },
    connect(port, source = '192.0.2.1', destination = '198.51.100.1') {
      const id = ++last as SocketId;
      const peer = { heard: '', waiting: '', stalled: false, paused: false, state: 'open' as const };
      peers.set(id, peer);
      open.add(id);
      tell(to => to.accepted({ id, source: source as Address, sourcePort: 40_000, destination: destination as Address, port }));
      const unlessClosed = (what: (to: SocketEvents) => void): void => (open.has(id) ? tell(what) : undefined);
      return {
        id,
        says: text => unlessClosed(to => to.received(id, Buffer.from(text, 'latin1'))),
        finishes: () => unlessClosed(to => to.finished(id)),
        resets: () =>
          unlessClosed(to => {
            open.delete(id);
            to.gone(id, 'reset');
          }),
        stalls() {
          peer.stalled = true;
        },
        reads() {
          peer.stalled = false;
          peer.heard += peer.waiting;
          peer.waiting = '';
          unlessClosed(to => to.drained(id));
        },
        heard: () => peer.heard,
        state: () => (peer.state === 'open' && peer.paused ? 'paused' : peer.state),
      };
    },
  };
}
