/** What one client's talk has come to: what is to be sent, what was seen, and the bounds of both. */
import type { MachineLimits, Observation } from '../protocols/machine.ts';
import { MOST_OBSERVATIONS, malformed } from '../protocols/observation.ts';
import { SshRefusal } from './ssh-transport.ts';

export interface Turned {
  readonly out: readonly Buffer[];
  readonly seen: readonly Observation[];
  /** A complete message came. */
  readonly progressed: boolean;
  /** An exchange waits for time. */
  readonly waits: boolean;
}

export class Turn {
  readonly #limits: MachineLimits;
  #out: Buffer[] = [];
  #seen: Observation[] = [];
  #sent = 0;
  #messages = 0;
  #observed = 0;
  #progressed = false;
  #waits = false;
  /** It is over because a bound was reached. */
  exceeded = false;
  /** It is over because of what the client sent. */
  failed = false;

  constructor(limits: MachineLimits) {
    this.#limits = limits;
  }

  send(bytes: Buffer): void {
    if (this.#sent + bytes.length > this.#limits.sentBytes) this.#exceed();
    this.#sent += bytes.length;
    this.#out.push(bytes);
  }

  observe(observation: Observation): void {
    if (this.#observed++ < MOST_OBSERVATIONS) this.#seen.push(observation);
  }

  /** A message came: throws where it is one too many. */
  progress(): void {
    this.#progressed = true;
    if (++this.#messages > this.#limits.messages) this.#exceed();
  }

  /** Whether an exchange may go on; if not, it is tried again later. */
  admit(admitted: boolean): boolean {
    this.#waits = !admitted;
    return admitted;
  }

  fail(error: unknown): void {
    this.failed = true;
    if (this.exceeded || (error instanceof SshRefusal && !error.malformed)) return;
    const why = error instanceof Error ? error.message.replace(/[^\x20-\x7e]/g, '?').slice(0, 100) : 'unknown';
    this.observe(malformed(error instanceof SshRefusal ? why : `ssh2: ${why}`));
  }

  /** Takes what has come together since the last call. */
  end(): Turned {
    const turned = { out: this.#out, seen: this.#seen, progressed: this.#progressed, waits: this.#waits };
    this.#out = [];
    this.#seen = [];
    this.#progressed = false;
    this.#waits = false;
    return turned;
  }

  #exceed(): never {
    this.exceeded = true;
    throw new SshRefusal('more than a session may say');
  }
}
