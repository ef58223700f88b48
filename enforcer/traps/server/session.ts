/** One connection to a trap: the driver between a socket and a machine. It owns the clock, the bounds and the end: always by RST. */
import type { Address } from '@honeymesh/intel/address';
import type { Finding } from '@honeymesh/intel/findings';
import { unixMs } from '@honeymesh/intel/time';
import type { About } from '../../detect/judge.ts';
import type { TrapLimits, TrapObservation } from '../messages.ts';
import type { Outcome, TrapMachine } from '../protocols/machine.ts';
import { malformed, type Observation, payload } from '../protocols/observation.ts';
import { LONGEST_HEAD, type SessionEnd } from '../receipts.ts';
import { type Deadlines, NO_SLOT, type Timed } from './deadlines.ts';
import { emptyReceipt, Notes } from './notes.ts';
import type { SocketId, TrapSockets } from './socket-port.ts';
import type { TlsTalk, TlsTerminator } from './tls.ts';
import { Wire } from './wire.ts';

/** What is made of an attacker's words: enforcer/detect, which a test replaces. */
export interface Judge {
  judge(observation: Observation, about: About): readonly Finding[];
  isHostile(findings: readonly Finding[]): boolean;
}

/** What all sessions of a server share. */
export interface House {
  readonly limits: TrapLimits;
  readonly sockets: Pick<TrapSockets, 'write' | 'close' | 'pause' | 'resume'>;
  readonly deadlines: Deadlines<Session>;
  readonly tls: TlsTerminator | undefined;
  readonly judge: Judge;
  observe(observation: TrapObservation): void;
  /** The session is over. What comes back: how many its source still has. */
  left(session: Session): number;
  /** Bytes kept for sessions, `more` than before. False: that is more than all of them may keep. */
  keep(more: number): boolean;
  /** A mistake of ours, which costs one session. */
  fault(error: unknown): void;
  nowMs(): number;
}

/** How long the last bytes may take to leave before the RST. */
const LINGER_MS = 200;
/** What records and padding may add to what a machine is told. */
const WIRE_SLACK_BYTES = 32 * 1024;

type Call = 'open' | 'receive' | 'expire' | 'secured';

export class Session implements Timed {
  wakeAtMs = 0;
  slot = NO_SLOT;
  before: Timed | undefined = undefined;
  after: Timed | undefined = undefined;
  readonly id: SocketId;
  readonly source: Address;
  readonly port: number;
  readonly #house: House;
  readonly #machine: TrapMachine;
  #openedMs: number; // when it was greeted; accept() before that
  #received = 0;
  #sent = 0;
  #kept = 0;
  #unsent = 0;
  #over = false;
  /** What the machine ended with, while its last words leave through TLS. */
  #ending: SessionEnd | undefined = undefined;
  #head = ''; // a character for each byte
  #notes: Notes | undefined = undefined;
  #wire: Wire | undefined = undefined;
  #tls: TlsTalk | undefined = undefined;
  #secured = false;

  constructor(house: House, socket: { readonly id: SocketId; readonly source: Address; readonly port: number }, machine: TrapMachine, openedMs: number) {
    this.#house = house;
    this.id = socket.id;
    this.source = socket.source;
    this.port = socket.port;
    this.#machine = machine;
    this.#openedMs = openedMs;
  }

  /** Greets. */
  open(nowMs: number): void {
    this.#openedMs = nowMs;
    this.#ask('open', NOTHING, nowMs);
  }

  /** `bytes` came from the peer; valid during the call only. */
  received(bytes: Uint8Array): void {
    if (this.#over || this.#ending !== undefined) return;
    const wanted = LONGEST_HEAD - this.#head.length;
    if (wanted > 0) this.#head += Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, wanted)).toString('latin1');
    this.#received += bytes.length;
    if (this.#received > this.#house.limits.receivedBytes + WIRE_SLACK_BYTES) this.end('too-much', 0);
    else if (!this.#keep(bytes.length)) this.end('full', 0);
    else if (this.#wire !== undefined) this.#wire.received(bytes);
    else this.#ask('receive', bytes, this.#house.nowMs());
  }

  /** The peer will send no more. What it said before was answered as it came. */
  finished(): void {
    if (this.#wire === undefined) this.end('peer', LINGER_MS);
    else this.#wire.finished();
  }

  /** The peer took what waited. */
  drained(): void {
    if (this.#over) return;
    this.#keep(-this.#unsent);
    this.#unsent = 0;
    this.#house.sockets.resume(this.id);
    this.#wire?.drained();
  }

  /** The time it asked for has come. */
  due(nowMs: number): void {
    if (this.#ending !== undefined) this.end(this.#ending, 0);
    else if (this.#tls !== undefined && !this.#secured) this.end('deadline', 0);
    else this.#ask('expire', NOTHING, nowMs);
    if (nowMs >= this.#openedMs + this.#house.limits.sessionMs) this.end('deadline', LINGER_MS);
  }

  /** Ends it, for its row too. `lingerMs`: how long what it was told last may take to leave. */
  end(end: SessionEnd, lingerMs: number): void {
    if (this.#over) return;
    this.#over = true;
    const { deadlines, sockets } = this.#house;
    deadlines.clear(this);
    sockets.close(this.id, lingerMs);
    this.#tls?.destroy();
    try {
      this.#machine.ended?.();
    } catch (error) {
      this.#house.fault(error);
    }
    this.#tell(end);
  }

  /** The connection is gone, whoever ended it. */
  gone(): void {
    this.end(this.#ending ?? 'peer', 0);
  }

  #ask(call: Call, bytes: Uint8Array, nowMs: number): void {
    try {
      const outcome = this.#answer(call, bytes, nowMs);
      if (outcome !== undefined) this.#follow(outcome, nowMs);
    } catch (error) {
      this.#house.fault(error);
      this.end('stopped', 0);
    }
  }

  #answer(call: Call, bytes: Uint8Array, nowMs: number): Outcome | undefined {
    switch (call) {
      case 'open':
        return this.#machine.open(nowMs);
      case 'receive':
        return this.#machine.receive(bytes, nowMs);
      case 'expire':
        return this.#machine.expire(nowMs);
      case 'secured':
        return this.#machine.secured?.(nowMs);
    }
  }

  #follow({ send, observations, startTls, replay, close, wakeAtMs }: Outcome, nowMs: number): void {
    // The answer first: what is told of it may ban the source, and a ban drops what is on its way.
    if (send !== undefined && send.length > 0) this.#say(send);
    if (observations.length > 0) this.#see(observations, nowMs);
    if (this.#over) return;
    if (close) this.#close(endOf(observations), nowMs);
    else if (startTls === true) this.#startTls(replay ?? NOTHING, nowMs);
    else this.#wakeAt(wakeAtMs === 'never' ? Number.MAX_SAFE_INTEGER : wakeAtMs);
  }

  #close(end: SessionEnd, nowMs: number): void {
    if (this.#tls === undefined) {
      this.end(end, LINGER_MS);
      return;
    }
    this.#ending = end;
    this.#wakeAt(nowMs + LINGER_MS);
    this.#tls.end(() => this.end(end, LINGER_MS));
  }

  #say(bytes: Uint8Array): void {
    if (this.#tls === undefined) this.#send(bytes);
    // How much of it waits inside TLS is not told: all of it counts as kept until the session ends.
    else if (this.#keep(bytes.length)) this.#tls.write(bytes);
    else this.end('full', 0);
  }

  #send(bytes: Uint8Array): 'sent' | 'waiting' | 'gone' {
    if (this.#over) return 'gone';
    const { sockets } = this.#house;
    const went = sockets.write(this.id, bytes);
    if (went === 'gone') return went;
    this.#sent += bytes.length;
    if (went === 'waiting') {
      // Who does not read is not read from: what waits for a peer stays that of one answer.
      if (this.#unsent === 0) sockets.pause(this.id);
      this.#unsent += bytes.length;
      if (!this.#keep(bytes.length)) this.end('full', 0);
    }
    return went;
  }

  #see(observations: readonly Observation[], nowMs: number): void {
    const { judge } = this.#house;
    const protocol = this.#machine.protocol;
    const about: About = { protocol, port: this.port, transport: 'tcp' };
    const atMs = nowMs - this.#openedMs;
    for (const observation of observations) {
      if (observation.kind === 'deadline' || observation.kind === 'too-much') continue;
      this.#notes ??= new Notes();
      this.#notes.see(observation, atMs);
      const found = judge.judge(observation, about);
      const fresh = found.length === 0 ? found : this.#notes.judged(found);
      if (fresh.length === 0 || !judge.isHostile(fresh)) continue;
      this.#house.observe({ kind: 'content', at: unixMs(Date.now()), source: this.source, port: this.port, protocol, findings: fresh });
    }
  }

  #startTls(hello: Uint8Array, nowMs: number): void {
    const wire = new Wire({ send: bytes => this.#send(bytes) });
    const events = {
      secured: () => {
        this.#secured = true;
        if (!this.#over) this.#ask('secured', NOTHING, this.#house.nowMs());
      },
      received: (bytes: Uint8Array) => {
        if (!this.#over && this.#ending === undefined) this.#ask('receive', bytes, this.#house.nowMs());
      },
      over: (why: string | undefined) => {
        if (this.#over) return;
        if (why !== undefined) this.#see([malformed(`TLS: ${why}`)], this.#house.nowMs());
        this.end('peer', LINGER_MS);
      },
    };
    this.#wire = wire;
    this.#tls = this.#house.tls?.answer(wire, hello, events, nowMs);
    if (this.#tls === undefined) this.end('full', 0);
    else this.#wakeAt(nowMs + this.#house.limits.deadlineMs);
  }

  #wakeAt(atMs: number): void {
    if (!this.#over) this.#house.deadlines.set(this, Math.min(atMs, this.#openedMs + this.#house.limits.sessionMs));
  }

  #keep(more: number): boolean {
    this.#kept += more;
    return this.#house.keep(more);
  }

  #tell(end: SessionEnd): void {
    const house = this.#house;
    house.keep(-this.#kept);
    // What no machine made anything of is judged as it stands: half a message can be a whole attack.
    if (this.#notes === undefined && this.#head !== '') this.#see([payload('unread', this.#head, this.#received)], house.nowMs());
    const facts = {
      head: this.#head === '' ? '' : Buffer.from(this.#head, 'latin1').toString('base64'),
      receivedBytes: this.#received,
      sentBytes: this.#sent,
      durationMs: house.nowMs() - this.#openedMs,
      end,
    };
    const receipt = this.#notes === undefined ? emptyReceipt(facts) : this.#notes.receipt(facts);
    const open = house.left(this);
    house.observe({ kind: 'ended', at: unixMs(Date.now()), source: this.source, port: this.port, protocol: this.#machine.protocol, receipt, open });
  }
}

const NOTHING = new Uint8Array(0);

function endOf(observations: readonly Observation[]): SessionEnd {
  for (const { kind } of observations) if (kind === 'too-much' || kind === 'deadline') return kind;
  return 'done';
}
