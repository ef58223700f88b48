/**
 * What the sessions saw, on its way to the daemon. The touch of a source that was not told of just before and hostile content leave at once, by themselves:
 * they are what bans. Under a flood they leave in batches a few milliseconds apart, merged and bounded. What does not fit is counted, never queued without
 * end. The rest is in no hurry: rows, and the touches of a source that is confined, banned or allowed by now.
 *
 * The rows of sessions leave no faster than the log takes them, and where they pile up here the server lets those who come wait for their greeting
 * (`pressed`): all are told, and none is lost. Touches wait for nobody.
 */
import { LARGEST_BATCH, type TrapMessage, type TrapObservation } from '../messages.ts';

export interface ObservationQueue {
  add(observation: TrapObservation): void;
  /** A batch of events is over: what it brought can leave. */
  settled(): void;
  /** Rows of so many sessions are in the log. */
  recorded(sessions: number): void;
  /** More ends than can be told: let the next ones begin later. */
  pressed(): boolean;
  /** Sends what it can, whatever the time: the process ends. */
  flush(): void;
}

export interface ObservationQueueDeps {
  /** Hands a message to the channel; `done` is called when it has left. */
  readonly send: (message: TrapMessage, done: () => void) => void;
  readonly nowMs: () => number;
  /** Runs `task` once, so much later. */
  readonly later: (task: () => void, ms: number) => void;
  readonly sessions: () => number;
}

type Of<Kind extends TrapObservation['kind']> = Extract<TrapObservation, { kind: Kind }>;

/** Between two messages of a kind. The daemon is woken by each, and may share our core. */
const URGENT_EVERY_MS = 2;
const PATIENT_EVERY_MS = 10;
/** So many of those that are in no hurry leave together, without waiting: a longer message would hold up the touch behind it. */
const PATIENT_BATCH = 128;
/** A source that was told of so lately has its verdict. */
const TOLD_MS = 1_000;
const MOST_TOLD = 4_096;
const MOST_WAITING = 32 * LARGEST_BATCH; // of each kind: all sessions may come, or end, at once
const MOST_BYTES_WAITING = 48 * 1024 * 1024; // of receipts
const MOST_UNRECORDED = 16 * LARGEST_BATCH; // rows on their way to the log, which stands still for some tenths of a second while it seals a segment
const PRESSED_AT = 2 * LARGEST_BATCH;
const RELIEVED_AT = LARGEST_BATCH / 2;
const MOST_ON_THE_WAY = 8; // batches: the daemon is late, but not lost
const MOST_PATIENT_ON_THE_WAY = 4;
/** Lines of receipts in one message: some hundred kilobytes. */
const MOST_LINES_TOGETHER = 1_024;

export function createObservationQueue({ send, nowMs, later, sessions }: ObservationQueueDeps): ObservationQueue {
  const touches = new Map<string, Of<'touch'>>();
  const repeats = new Map<string, Of<'touch'>>();
  const told = new Map<string, number>();
  const datagrams = new Map<string, Of<'datagram'>>();
  const contents: Of<'content'>[] = [];
  let ended: Of<'ended'>[] = [];
  let endedBytes = 0;
  let unrecorded = 0;
  let isPressed = false;
  let onTheWay = 0;
  let lost = 0;
  let touchesLeftAtMs = Number.NEGATIVE_INFINITY;
  let urgentLeftAtMs = Number.NEGATIVE_INFINITY;
  let patientLeftAtMs = Number.NEGATIVE_INFINITY;
  let plannedForMs = Number.POSITIVE_INFINITY;

  const urgent = (): number => touches.size + contents.length;
  const patient = (): number => repeats.size + datagrams.size + (unrecorded < MOST_UNRECORDED ? ended.length : 0);
  // A touch does not wait for contents that left just before: who says something is confined by then.
  const urgentDueAtMs = (): number => {
    if (touches.size > 0) return touchesLeftAtMs + URGENT_EVERY_MS;
    return contents.length > 0 ? urgentLeftAtMs + URGENT_EVERY_MS : Number.POSITIVE_INFINITY;
  };
  const patientDueAtMs = (): number => {
    const many = patient();
    if (many === 0) return Number.POSITIVE_INFINITY;
    return many >= PATIENT_BATCH ? Number.NEGATIVE_INFINITY : patientLeftAtMs + PATIENT_EVERY_MS;
  };

  function leave(): void {
    while (urgent() > 0 && onTheWay < MOST_ON_THE_WAY && nowMs() >= urgentDueAtMs()) sendUrgent();
    while (onTheWay < MOST_PATIENT_ON_THE_WAY && nowMs() >= patientDueAtMs()) sendPatient();
    // What the channel has no room for leaves when it has.
    const dueAtMs = Math.min(onTheWay < MOST_ON_THE_WAY ? urgentDueAtMs() : Infinity, onTheWay < MOST_PATIENT_ON_THE_WAY ? patientDueAtMs() : Infinity);
    if (dueAtMs >= plannedForMs) return;
    plannedForMs = dueAtMs;
    later(
      () => {
        if (plannedForMs === dueAtMs) plannedForMs = Number.POSITIVE_INFINITY;
        leave();
      },
      Math.max(1, dueAtMs - nowMs()),
    );
  }

  function sendUrgent(): void {
    const batch: TrapObservation[] = [];
    takeFrom(touches, batch, LARGEST_BATCH);
    if (told.size + batch.length > MOST_TOLD) told.clear(); // whom it forgets it tells of in a hurry again
    for (const { source } of batch) told.set(source, nowMs());
    batch.push(...contents.splice(0, LARGEST_BATCH - batch.length));
    urgentLeftAtMs = nowMs();
    if (batch[0]?.kind === 'touch') touchesLeftAtMs = urgentLeftAtMs;
    sendOff(batch);
  }

  function sendPatient(): void {
    const batch: TrapObservation[] = [];
    takeFrom(repeats, batch, PATIENT_BATCH);
    takeFrom(datagrams, batch, PATIENT_BATCH);
    const room = Math.min(PATIENT_BATCH - batch.length, MOST_UNRECORDED - unrecorded);
    let taken = 0;
    for (let lines = 0; taken < ended.length && taken < room && lines < MOST_LINES_TOGETHER; taken++) {
      const session = ended[taken];
      if (session === undefined) break;
      batch.push(session);
      endedBytes -= bytesOf(session);
      lines += session.receipt.transcript.length + session.receipt.credentials.length;
    }
    if (taken > 0) ended = ended.slice(taken);
    unrecorded += taken;
    patientLeftAtMs = nowMs();
    sendOff(batch);
  }

  function sendOff(batch: readonly TrapObservation[]): void {
    const untold = lost;
    lost = 0;
    onTheWay++;
    send({ kind: 'observations', observations: batch, sessions: sessions(), lost: untold }, () => {
      const wasFull = onTheWay === MOST_ON_THE_WAY || onTheWay === MOST_PATIENT_ON_THE_WAY;
      onTheWay--;
      if (wasFull) leave();
    });
  }

  function takeFrom<T extends TrapObservation>(waitingOnes: Map<string, T>, batch: TrapObservation[], most: number): void {
    for (const [name, observation] of waitingOnes) {
      if (batch.length >= most) return;
      batch.push(observation);
      waitingOnes.delete(name);
    }
  }

  function addTouch(touch: Of<'touch'>): void {
    const name = `${touch.port} ${touch.source}`;
    const waitingOnes = wasTold(touch.source) ? repeats : touches;
    const known = waitingOnes.get(name);
    if (known !== undefined) waitingOnes.set(name, { ...known, count: known.count + touch.count, refused: known.refused + touch.refused });
    else if (waitingOnes.size < MOST_WAITING) waitingOnes.set(name, touch);
    else lost += touch.count;
  }

  /** Who goes on touching stays told of. */
  function wasTold(source: string): boolean {
    const atMs = told.get(source);
    if (atMs === undefined || nowMs() - atMs >= TOLD_MS) return false;
    told.set(source, nowMs());
    return true;
  }

  function addEnded(session: Of<'ended'>): void {
    const bytes = bytesOf(session);
    if (ended.length < MOST_WAITING && endedBytes + bytes <= MOST_BYTES_WAITING) {
      ended.push(session);
      endedBytes += bytes;
    } else lost++;
  }

  function addDatagram(datagram: Of<'datagram'>): void {
    const name = `${datagram.port} ${datagram.source} ${datagram.protocol}`;
    const known = datagrams.get(name);
    if (known !== undefined) {
      datagrams.set(name, {
        ...known,
        count: known.count + datagram.count,
        receivedBytes: known.receivedBytes + datagram.receivedBytes,
        answered: known.answered || datagram.answered,
        findings: known.findings.length > 0 ? known.findings : datagram.findings,
      });
    } else if (datagrams.size < MOST_WAITING) datagrams.set(name, datagram);
    else lost += datagram.count;
  }

  return {
    add(observation) {
      switch (observation.kind) {
        case 'touch':
          addTouch(observation);
          break;
        case 'content':
          if (contents.length < MOST_WAITING) contents.push(observation);
          else lost++;
          break;
        case 'ended':
          addEnded(observation);
          break;
        case 'datagram':
          addDatagram(observation);
      }
      if (urgent() > 0 && onTheWay < MOST_ON_THE_WAY && nowMs() >= urgentDueAtMs()) sendUrgent();
    },
    settled: leave,
    recorded(rows) {
      unrecorded = Math.max(0, unrecorded - rows);
      leave();
    },
    pressed() {
      const many = Math.max(ended.length, touches.size, repeats.size, contents.length);
      isPressed = many >= (isPressed ? RELIEVED_AT : PRESSED_AT);
      return isPressed;
    },
    flush() {
      while (urgent() > 0) sendUrgent();
      unrecorded = 0;
      for (; patient() > 0; unrecorded = 0) sendPatient();
    },
  };
}

const SESSION_BYTES = 512;

/** About what an ended session takes while it waits. */
function bytesOf({ receipt: { head, credentials, fingerprints, transcript, findings } }: Of<'ended'>): number {
  let bytes = SESSION_BYTES + head.length;
  for (const { user, secret } of credentials) bytes += user.length + secret.length;
  for (const { value } of fingerprints) bytes += value.length;
  for (const { text } of transcript) bytes += text.length;
  for (const { quote } of findings) bytes += quote.length;
  return bytes;
}
