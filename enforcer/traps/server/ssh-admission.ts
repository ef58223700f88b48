/** How much of the processor and of the memory SSH may take: a key exchange costs milliseconds, and the loop that it runs in serves all other traps too. */
export interface AdmissionLimits {
  /** Of each second, how much of it SSH may take, 0 to 1. */
  readonly share: number;
  /** Milliseconds of work at once after a pause. */
  readonly burstMs: number;
  /** Clients that are spoken with at the same time. */
  readonly clients: number;
}

/** A client that got in keeps some 35 kB; its session takes 2 ms (curves) to 40 ms (group 18) of a processor. */
export const ADMISSION: AdmissionLimits = { share: 0.25, burstMs: 100, clients: 512 };

export class SshAdmission {
  readonly #limits: AdmissionLimits;
  /** Who is spoken with, and until when at the most. */
  readonly #clients = new Map<object, number>();
  #owedMs = 0;
  #atMs = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Takes up `client` until `endMs`, or until it leaves; false: too many are. */
  enter(client: object, endMs: number, nowMs: number): boolean {
    if (this.#clients.size >= this.#limits.clients) for (const [other, otherEndMs] of this.#clients) if (otherEndMs < nowMs) this.#clients.delete(other);
    if (this.#clients.size >= this.#limits.clients) return false;
    this.#clients.set(client, endMs);
    return true;
  }

  leave(client: object): void {
    this.#clients.delete(client);
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Whether there is time for an exchange. */
  admits(nowMs: number): boolean {
    this.#drain(nowMs);
    return this.#owedMs < this.#limits.burstMs;
  }

  /** `ms` of work were done. */
  spent(ms: number, nowMs: number): void {
    this.#drain(nowMs);
    this.#owedMs += ms;
  }

  #drain(nowMs: number): void {
    this.#owedMs = Math.max(0, this.#owedMs - Math.max(0, nowMs - this.#atMs) * this.#limits.share);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }
}
