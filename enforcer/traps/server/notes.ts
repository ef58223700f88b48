/** What is written down of one session, within the bounds of a receipt. A session in which nothing is said has none of it. */
import type { Finding } from '@honeymesh/intel/findings';
import { reasonMask } from '@honeymesh/intel/reasons';
import type { Observation } from '../protocols/observation.ts';
import {
  type Credential,
  type Fingerprint,
  jsonBytes,
  LONGEST_NAME,
  LONGEST_TEXT,
  MOST_CREDENTIALS,
  MOST_FINDINGS,
  MOST_FINGERPRINTS,
  MOST_LINES,
  MOST_TEXT_BYTES,
  type Receipt,
  type TranscriptLine,
} from '../receipts.ts';

/** Kept free for findings, which come last and matter most. */
const FOR_FINDINGS_BYTES = 2_048;

export class Notes {
  readonly #findings: Finding[] = [];
  readonly #credentials: Credential[] = [];
  readonly #fingerprints: Fingerprint[] = [];
  readonly #transcript: TranscriptLine[] = [];
  #bytes = 0;
  #omitted = 0;
  #reasons = 0;

  /** Writes down what was seen `atMs` after accept(). */
  see(observation: Observation, atMs: number): void {
    switch (observation.kind) {
      case 'credentials': {
        const tried = credentialOf(observation);
        if (this.#fits(this.#credentials, MOST_CREDENTIALS, tried.user, tried.secret, tried.scheme ?? '')) this.#credentials.push(tried);
        this.#say(atMs, 'credentials', tried.user); // the secret stands in its own list, where it can be masked
        return;
      }
      case 'fingerprint': {
        const mark = { name: bytesOnly(observation.name, LONGEST_NAME), value: bytesOnly(observation.value, LONGEST_TEXT) };
        if (this.#fingerprints.some(({ name, value }) => name === mark.name && value === mark.value)) return;
        if (this.#fits(this.#fingerprints, MOST_FINGERPRINTS, mark.name, mark.value)) this.#fingerprints.push(mark);
        return;
      }
      case 'command':
        this.#say(atMs, 'command', observation.line);
        return;
      case 'request':
        this.#request(observation, atMs);
        return;
      case 'payload':
        this.#say(atMs, 'payload', `${observation.name} (${observation.bytes} bytes): ${observation.content.slice(0, LONGEST_TEXT)}`);
        return;
      case 'malformed':
        this.#say(atMs, 'malformed', observation.why);
        return;
      case 'too-much':
      case 'deadline': // the receipt's `end`
    }
  }

  /** Writes down what detect made of it. Those that give a reason which this session had not given before come back. */
  judged(findings: readonly Finding[]): readonly Finding[] {
    const fresh: Finding[] = [];
    for (const finding of findings) {
      const kept: Finding = { ...finding, quote: bytesOnly(finding.quote, finding.quote.length) };
      const bit = reasonMask([finding.reason]);
      if ((this.#reasons & bit) === 0) fresh.push(kept);
      this.#reasons |= bit;
      if (this.#findings.some(({ rule }) => rule === finding.rule)) continue;
      if (this.#fits(this.#findings, MOST_FINDINGS, kept.rule, kept.quote)) this.#findings.push(kept);
    }
    return fresh;
  }

  receipt(facts: Pick<Receipt, 'head' | 'receivedBytes' | 'sentBytes' | 'durationMs' | 'end'>): Receipt {
    return {
      ...facts,
      findings: this.#findings,
      credentials: this.#credentials,
      fingerprints: this.#fingerprints,
      transcript: this.#transcript,
      omitted: this.#omitted,
    };
  }

  /** Of the headers only what names the client: others can hold secrets, which stand among the credentials. */
  #request({ method, target, headers }: Extract<Observation, { kind: 'request' }>, atMs: number): void {
    const agent = headers.find(([name]) => name.toLowerCase() === 'user-agent');
    if (agent !== undefined) this.see({ kind: 'fingerprint', name: 'user-agent', value: agent[1] }, atMs);
    this.#say(atMs, 'request', `${method} ${target}`);
  }

  #say(atMs: number, kind: TranscriptLine['kind'], said: string): void {
    const text = bytesOnly(said, LONGEST_TEXT);
    if (this.#fits(this.#transcript, MOST_LINES, text)) this.#transcript.push({ atMs, kind, text });
  }

  #fits(list: readonly unknown[], most: number, ...texts: readonly string[]): boolean {
    const bytes = texts.reduce((sum, text) => sum + jsonBytes(text), this.#bytes);
    const room = list === this.#findings ? MOST_TEXT_BYTES : MOST_TEXT_BYTES - FOR_FINDINGS_BYTES;
    if (list.length >= most || bytes > room) {
      this.#omitted++;
      return false;
    }
    this.#bytes = bytes;
    return true;
  }
}

function credentialOf({ user, secret, scheme }: Extract<Observation, { kind: 'credentials' }>): Credential {
  const tried = { user: bytesOnly(user, LONGEST_TEXT), secret: bytesOnly(secret, LONGEST_TEXT) };
  return scheme === undefined ? tried : { ...tried, scheme: bytesOnly(scheme, LONGEST_NAME) };
}

/** One character a byte: machines keep to it, what parses for them (ssh2) may not. */
function bytesOnly(text: string, longest: number): string {
  const short = text.length > longest ? text.slice(0, longest) : text;
  for (let at = 0; at < short.length; at++) if (short.charCodeAt(at) > 0xff) return Buffer.from(short, 'utf8').toString('latin1').slice(0, longest);
  return short;
}

/** The receipt of a session in which nothing was said. */
export function emptyReceipt(facts: Pick<Receipt, 'head' | 'receivedBytes' | 'sentBytes' | 'durationMs' | 'end'>): Receipt {
  return { ...facts, findings: NONE, credentials: NONE, fingerprints: NONE, transcript: NONE, omitted: 0 };
}

const NONE: readonly never[] = [];
