/** Streams, in: chunk by chunk, until the one message that the other side has to say is complete or refused. */
import { MESSAGE_TYPE } from '../messages.ts';
import { joined, u32At } from './bytes.ts';
import { expanded } from './compression.ts';
import { ENCRYPTION_OVERHEAD, type Opened, open } from './encryption.ts';
import { describeFault, type WireFault } from './faults.ts';
import type { Keyring } from './keyring.ts';
import { type LabelCheck, passLabel } from './label.ts';
import { MOST_VALUES_OF_STREAM, WIRE_LIMITS, type WireLimits } from './limits.ts';
import { type BodyReader, createBodyReader, type StreamBody } from './stream-body.ts';
import type { StreamRole } from './stream-writer.ts';

export interface StreamReaderOptions extends LabelCheck {
  /** Ours: the acceptor expects the dialer's label, the dialer none before the reply. */
  readonly role: StreamRole;
  readonly keyring: Keyring | null;
  /** False while a cluster is being moved to encryption: clear messages are then taken, too. */
  readonly verifyIncoming: boolean;
  readonly source?: string;
  readonly limits?: WireLimits;
}

export type StreamReading =
  | { readonly state: 'more' }
  | (StreamBody & { readonly state: 'complete'; readonly sealed: Omit<Opened, 'plain'> | null })
  | {
      readonly state: 'refused';
      readonly why: WireFault;
      /** What Go answers in such a case, as text of an error message (type 13); null where it closes without a word. */
      readonly answer: string | null;
    };

export interface StreamReader {
  /** Takes what came. After anything else than `more` the connection has said all, and what follows changes nothing. */
  push(chunk: Uint8Array): StreamReading;
  /** The other side will say no more: what is not complete now is cut off. */
  end(): StreamReading;
  /** Bytes that are held for the message, for limits across connections. */
  readonly heldBytes: number;
}

const FRAME_HEAD = 5;
/** What an unencrypted message may have around what is limited by itself: headers. */
const HEADERS = 65_536;
const MORE: StreamReading = { state: 'more' };

/** Texts of memberlist's errors (net.go, readStream): joiners and their operators know them. */
const ANSWERS: Partial<Record<WireFault, string>> = {
  'no-key-fits': 'no installed keys could decrypt the message',
  'encrypted-refused': 'remote state is encrypted and encryption is not configured',
  'plaintext-refused': 'encryption is configured but remote state is not encrypted',
};

export function createStreamReader(options: StreamReaderOptions): StreamReader {
  const limits = options.limits ?? WIRE_LIMITS;
  const longest = limits.streamBytes + HEADERS;
  let held = new Uint8Array(0);
  let length = 0;
  /** Where the message begins, behind the label. */
  let start: number | null = options.role === 'dialer' ? 0 : null;
  let body: BodyReader | null = null;
  let final: StreamReading | null = null;

  function hold(chunk: Uint8Array): void {
    const taken = chunk.subarray(0, longest - length);
    if (length + taken.length > held.length) {
      const grown = new Uint8Array(Math.min(longest, Math.max(512, 2 * held.length, length + taken.length)));
      grown.set(held.subarray(0, length));
      held = grown;
    }
    held.set(taken, length);
    length += taken.length;
  }

  function read(): StreamReading {
    const bytes = held.subarray(0, length);
    if (start === null) {
      if (length === 0) return MORE;
      const passed = passLabel(bytes, options);
      if (!passed.ok) return passed.why === 'truncated' ? MORE : refused(passed.why);
      start = passed.value;
    }
    const labelled = bytes.subarray(start);
    if (labelled.length === 0) return MORE;
    if (labelled[0] === MESSAGE_TYPE.encrypt) return readFrame(labelled);
    if (isEncrypting(options.keyring) && options.verifyIncoming) return answered('plaintext-refused');
    if (labelled[0] === MESSAGE_TYPE.compress) {
      const expansion = expanded(labelled, limits.streamExpansion, bounds);
      if (expansion.ok) return whole(expansion.value, null);
      return expansion.why === 'truncated' ? MORE : answered(expansion.why);
    }
    body ??= createBodyReader(limits);
    return told(body, labelled, null);
  }

  const bounds = { longestRaw: limits.streamBytes, mostValues: MOST_VALUES_OF_STREAM };

  function readFrame(bytes: Uint8Array): StreamReading {
    if (!isEncrypting(options.keyring)) return answered('encrypted-refused');
    if (bytes.length < FRAME_HEAD) return MORE;
    const size = u32At(bytes, 1);
    if (size > limits.streamBytes) return refused('too-long');
    if (size < ENCRYPTION_OVERHEAD[1]) return answered('ciphertext-too-short');
    if (bytes.length < FRAME_HEAD + size) return MORE;
    const context = joined(bytes.subarray(0, FRAME_HEAD), options.label);
    const opened = open(bytes.subarray(FRAME_HEAD, FRAME_HEAD + size), options.keyring, context, options.source);
    if (!opened.ok) return answered(opened.why);
    const { plain, ...cover } = opened.value;
    if (plain[0] !== MESSAGE_TYPE.compress) return whole(plain, cover);
    const expansion = expanded(plain, limits.streamExpansion, bounds);
    return expansion.ok ? whole(expansion.value, cover) : answered(expansion.why);
  }

  /** What came in one piece cannot be waiting for more. */
  function whole(bytes: Uint8Array, cover: Omit<Opened, 'plain'> | null): StreamReading {
    const reading = told(createBodyReader(limits), bytes, cover);
    return reading.state === 'more' ? refused('truncated') : reading;
  }

  function settle(reading: StreamReading): StreamReading {
    if (reading.state === 'more') return reading;
    final = reading;
    [held, length, body] = [new Uint8Array(0), 0, null];
    return reading;
  }

  return {
    push(chunk) {
      if (final !== null) return final;
      hold(chunk);
      const reading = read();
      return settle(reading.state === 'more' && length >= longest ? refused('too-long') : reading);
    },
    end: () => final ?? settle(refused(length === 0 ? 'empty' : 'truncated')),
    get heldBytes() {
      return held.length;
    },
  };
}

function told(body: BodyReader, bytes: Uint8Array, sealed: Omit<Opened, 'plain'> | null): StreamReading {
  const read = body.read(bytes);
  if (read.ok) return { state: 'complete', ...read.value, sealed };
  return read.why === 'truncated' ? MORE : refused(read.why);
}

const isEncrypting = (keyring: Keyring | null): keyring is Keyring => keyring !== null && keyring.primary !== null;
const refused = (why: WireFault): StreamReading => ({ state: 'refused', why, answer: null });
const answered = (why: WireFault): StreamReading => ({ state: 'refused', why, answer: ANSWERS[why] ?? describeFault(why) });
