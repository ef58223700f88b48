/**
 * The SSH trap: OpenSSH's greeting at once, and a whole server for a client that names itself. A machine like the others, but on ssh2 and so outside of
 * traps/protocols. Most who come take the greeting and go: they cost one object. What ssh2 makes of hostile bytes may throw: it ends the session, no more.
 */
import { firstLine } from '../protocols/lines.ts';
import type { Observation, Outcome, ProtocolFactory, TrapContext, TrapMachine } from '../protocols/machine.ts';
import { fingerprint, payload } from '../protocols/observation.ts';
import { ADMISSION, type AdmissionLimits, SshAdmission } from './ssh-admission.ts';
import { offerOf } from './ssh-algorithms.ts';
import { sshLibrary } from './ssh-library.ts';
import { SshTalk } from './ssh-talk.ts';
import { createSshHost, type SshHost } from './ssh-transport.ts';
import { Turn } from './ssh-turn.ts';

export interface SshTrapOptions {
  /** PEM or OpenSSH's format: one of each kind (RSA, ECDSA on P-256, Ed25519). */
  readonly hostKeys: readonly string[];
  readonly admission?: AdmissionLimits;
}

/** What the sessions of a host share. */
interface House {
  readonly admission: SshAdmission;
  /** `undefined` while ssh2 is loading. */
  host(context: TrapContext): SshHost | undefined;
}

const LONGEST_IDENTIFICATION = 255; // RFC 4253, 4.2, with its end
const LONGEST_WAITING = 64 * 1024;
const RETRY_MS = 40;
const NOTHING = Buffer.alloc(0);
const NO_OBSERVATIONS: readonly Observation[] = [];
const CLOSED: Outcome = { observations: NO_OBSERVATIONS, wakeAtMs: 'never', close: true };

/** The factory of SSH sessions. All contexts are of one persona. Nothing is loaded before a client speaks. */
export function createSshTrap({ hostKeys, admission = ADMISSION }: SshTrapOptions): ProtocolFactory {
  let made: SshHost | undefined;
  const house: House = {
    admission: new SshAdmission(admission),
    host({ persona }) {
      const library = made === undefined ? sshLibrary() : undefined;
      if (library !== undefined) made = createSshHost(library, hostKeys, offerOf(persona.release), persona.versions.ssh);
      return made;
    },
  };
  return context => new SshMachine(house, context);
}

class SshMachine implements TrapMachine {
  readonly protocol = 'ssh';
  readonly #house: House;
  readonly #context: TrapContext;
  #deadlineMs = 0;
  #endMs = 0;
  #received = 0;
  #waiting: Buffer = NOTHING;
  #identification: string | undefined = undefined;
  #talk: SshTalk | undefined = undefined;
  #closed = false;
  #nowMs = 0;
  /** Of a client that is spoken with. */
  #turn: Turn | undefined = undefined;

  constructor(house: House, context: TrapContext) {
    this.#house = house;
    this.#context = context;
  }

  open(nowMs: number): Outcome {
    this.#endMs = nowMs + this.#context.limits.sessionMs;
    this.#deadlineMs = Math.min(this.#endMs, nowMs + this.#context.limits.patienceMs);
    return { send: Buffer.from(`SSH-2.0-${this.#context.persona.versions.ssh}\r\n`, 'latin1'), ...this.#listening() };
  }

  receive(bytes: Uint8Array, nowMs: number): Outcome {
    if (this.#closed) return CLOSED;
    if (nowMs >= this.#deadlineMs) return this.#over([{ kind: 'deadline' }]);
    this.#received += bytes.length;
    const chunk = Buffer.from(bytes);
    const waiting = this.#waiting.length + (this.#talk?.waiting ?? 0) + chunk.length;
    if (this.#received > this.#context.limits.receivedBytes || waiting > LONGEST_WAITING) return this.#over([this.#tooMuch()]);
    if (this.#talk !== undefined) return this.#speak(chunk, nowMs);
    this.#waiting = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk]);
    return this.#identification === undefined ? this.#identify(nowMs) : this.#begin(NO_OBSERVATIONS, nowMs);
  }

  expire(nowMs: number): Outcome {
    if (this.#closed) return CLOSED;
    if (nowMs >= this.#deadlineMs) return this.#over(this.#waiting.length === 0 ? [{ kind: 'deadline' }] : [this.#unread(), { kind: 'deadline' }]);
    if (this.#talk !== undefined) return this.#speak(NOTHING, nowMs);
    return this.#identification === undefined ? this.#listening() : this.#begin(NO_OBSERVATIONS, nowMs);
  }

  /** The connection is gone. */
  ended(): void {
    this.#closed = true;
    this.#forget();
  }

  /** The client's first line. */
  #identify(nowMs: number): Outcome {
    const line = firstLine(this.#waiting);
    if (line === undefined && this.#waiting.length < LONGEST_IDENTIFICATION) return this.#listening();
    if (line === undefined || !line.text.startsWith('SSH-')) return this.#refuse('Invalid SSH identification string.\r\n', this.#unread());
    this.#waiting = this.#waiting.subarray(line.used);
    const named = fingerprint('ssh-client', line.text);
    if (!/^SSH-(?:2\.|1\.99-)/.test(line.text)) return this.#refuse('Protocol major versions differ.\r\n', named);
    this.#identification = line.text;
    this.#deadlineMs = Math.min(this.#endMs, nowMs + this.#context.limits.patienceMs);
    return this.#begin([named], nowMs);
  }

  /** Takes up the talk, if there is time and room for it: else the client waits, as at a busy host. */
  #begin(seen: readonly Observation[], nowMs: number): Outcome {
    const { admission } = this.#house;
    const waits: Outcome = { observations: seen, wakeAtMs: Math.min(this.#deadlineMs, nowMs + RETRY_MS), close: false };
    if (!admission.admits(nowMs)) return waits;
    const host = this.#house.host(this.#context);
    if (host === undefined || !admission.enter(this, this.#endMs, nowMs)) return waits;
    const turn = new Turn(this.#context.limits);
    this.#turn = turn;
    const identification = Buffer.from(this.#identification ?? '', 'latin1');
    const waiting = this.#waiting;
    this.#waiting = NOTHING;
    for (const observation of seen) turn.observe(observation);
    return this.#take(nowMs, () => {
      this.#talk = new SshTalk(host, this.#context, identification, {
        send: bytes => turn.send(bytes),
        observe: observation => turn.observe(observation),
        progress: () => turn.progress(),
        admit: () => turn.admit(admission.admits(this.#nowMs)),
      });
      if (waiting.length > 0) this.#talk.receive(waiting);
    });
  }

  #speak(bytes: Buffer, nowMs: number): Outcome {
    return this.#take(nowMs, () => this.#talk?.receive(bytes));
  }

  /** Lets ssh2 work, within its bounds. */
  #take(nowMs: number, work: () => void): Outcome {
    const turn = this.#turn;
    if (turn === undefined) return CLOSED;
    this.#nowMs = nowMs;
    const beganMs = performance.now();
    try {
      work();
    } catch (error) {
      turn.fail(error);
    }
    this.#house.admission.spent(performance.now() - beganMs, nowMs);
    const { out, seen, progressed, waits } = turn.end();
    if (progressed) this.#deadlineMs = Math.min(this.#endMs, nowMs + this.#context.limits.patienceMs);
    const tooMuch = turn.exceeded;
    const send = out.length === 0 ? {} : { send: Buffer.concat(out) };
    if (tooMuch || turn.failed || this.#talk?.over === true) return { ...this.#over(tooMuch ? [...seen, this.#tooMuch()] : seen), ...send };
    return { ...send, observations: seen, wakeAtMs: waits ? Math.min(this.#deadlineMs, nowMs + RETRY_MS) : this.#deadlineMs, close: false };
  }

  #refuse(words: string, seen: Observation): Outcome {
    return { ...this.#over([seen]), send: Buffer.from(words, 'latin1') };
  }

  #over(observations: readonly Observation[]): Outcome {
    this.#closed = true;
    this.#forget();
    return { observations, wakeAtMs: 'never', close: true };
  }

  #forget(): void {
    this.#waiting = NOTHING;
    const talk = this.#talk;
    if (this.#turn === undefined) return;
    this.#turn = undefined;
    this.#talk = undefined;
    this.#house.admission.leave(this);
    try {
      talk?.close();
    } catch {
      // ssh2's own clean-up: there is nothing left to save
    }
  }

  #listening(): Outcome {
    return { observations: NO_OBSERVATIONS, wakeAtMs: this.#deadlineMs, close: false };
  }

  #unread(): Observation {
    return payload('ssh', this.#waiting.toString('latin1'));
  }

  #tooMuch(): Observation {
    return { kind: 'too-much', receivedBytes: this.#received };
  }
}
