/** A session's bytes as a stream, for what insists on one: TLS and SSH. Only sessions that come to that have it. */
import { Duplex } from 'node:stream';

export interface WireEnd {
  /** Sends to the peer. */
  send(bytes: Uint8Array): 'sent' | 'waiting' | 'gone';
}

export class Wire extends Duplex {
  readonly #end: WireEnd;
  #waiting: ((error?: Error | null) => void) | undefined;

  constructor(end: WireEnd) {
    super({ allowHalfOpen: true, emitClose: true });
    this.#end = end;
    this.on('error', () => {}); // whoever stands on it hears of it; for us the session's end says all
  }

  /** Bytes of the peer, whose memory stays the caller's. What is not read yet is bounded by what a session may receive. */
  received(bytes: Uint8Array): void {
    if (!this.destroyed) this.push(Buffer.from(bytes));
  }

  /** The peer will send nothing more. */
  finished(): void {
    if (!this.destroyed) this.push(null);
  }

  /** The peer took what waited. */
  drained(): void {
    const go = this.#waiting;
    this.#waiting = undefined;
    go?.();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const went = this.#end.send(chunk);
    if (went === 'sent') done();
    else if (went === 'waiting') this.#waiting = done;
    else done(new Error('the connection is gone'));
  }
}
