/**
 * What the sessions saw, on its way to the daemon. A touch and what was said leave at once where nothing left just before: they are what bans. Under a
 * flood they leave in batches a few milliseconds apart, merged and bounded. What does not fit is counted, never queued without end.
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

/** Between two messages. The daemon is woken by each, and may share our core. */
const URGENT_EVERY_MS = 2;
const PATIENT_EVERY_MS = 10;
const MOST_WAITING = 32 * LARGEST_BATCH; // of each kind: all sessions may come, or end, at once
const MOST_BYTES_WAITING = 48 * 1024 * 1024; // of receipts
const MOST_UNRECORDED = 4 * LARGEST_BATCH; // rows on their way to the log
const PRESSED_AT = 2 * LARGEST_BATCH;
const RELIEVED_AT = LARGEST_BATCH / 2;
const MOST_ON_THE_WAY = 8; // batches: the daemon is late, but not lost
/** Lines of receipts in one message: some hundred kilobytes, so that no message holds up the touches behind it for long. */
const MOST_LINES_TOGETHER = 1_024;

export function createObservationQueue({ send, nowMs, later, sessions }: ObservationQueueDeps): ObservationQueue {
  const touches = new Map<string, Of<'touch'>>();
  const datagrams = new Map<string, Of<'datagram'>>();
  const contents: Of<'content'>[] = [];
  let ended: Of<'ended'>[] = [];
  let endedBytes = 0;
  let unrecorded = 0;
  let isPressed = false;
  let onTheWay = 0;
  let lost = 0;
  let leftAtMs = Number.NEGATIVE_INFINITY;
  let planned = false;

  const urgent = (): boolean => touches.size > 0 || contents.length > 0;
  const waiting = (): boolean => urgent() || (ended.length > 0 && unrecorded < MOST_UNRECORDED) || datagrams.size > 0;
  const dueAtMs = (): number => leftAtMs + (urgent() ? URGENT_EVERY_MS : PATIENT_EVERY_MS);

  function leave(): void {
    while (waiting() && onTheWay < MOST_ON_THE_WAY) {
      if (nowMs() >= dueAtMs()) flushOne();
      else {
        plan();
        return;
      }
    }
  }

  function plan(): void {
    if (planned) return;
    planned = true;
    later(
      () => {
        planned = false;
        leave();
      },
      Math.max(1, dueAtMs() - nowMs()),
    );
  }

  function flushOne(): void {
    const batch: TrapObservation[] = [];
    takeFrom(touches, batch);
    batch.push(...contents.splice(0, LARGEST_BATCH - batch.length));
    let taken = 0;
    const room = Math.min(LARGEST_BATCH - batch.length, MOST_UNRECORDED - unrecorded);
    for (let lines = 0; taken < ended.length && taken < room && lines < MOST_LINES_TOGETHER; taken++) {
      const session = ended[taken];
      if (session === undefined) break;
      batch.push(session);
      endedBytes -= bytesOf(session);
      lines += session.receipt.transcript.length + session.receipt.credentials.length;
    }
    if (taken > 0) ended = ended.slice(taken);
    unrecorded += taken;
    takeFrom(datagrams, batch);
    const told = lost;
    lost = 0;
    onTheWay++;
    leftAtMs = nowMs();
    send({ kind: 'observations', observations: batch, sessions: sessions(), lost: told }, () => {
      onTheWay--;
      if (onTheWay === MOST_ON_THE_WAY - 1) leave();
    });
  }

  function takeFrom<T extends TrapObservation>(waitingOnes: Map<string, T>, batch: TrapObservation[]): void {
    for (const [name, observation] of waitingOnes) {
      if (batch.length >= LARGEST_BATCH) return;
      batch.push(observation);
      waitingOnes.delete(name);
    }
  }

  function addTouch(touch: Of<'touch'>): void {
    const name = `${touch.port} ${touch.source}`;
    const known = touches.get(name);
    if (known !== undefined) touches.set(name, { ...known, count: known.count + touch.count, refused: known.refused + touch.refused });
    else if (touches.size < MOST_WAITING) touches.set(name, touch);
    else lost += touch.count;
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
      if (onTheWay === 0 && urgent() && nowMs() >= dueAtMs()) flushOne();
    },
    settled: leave,
    recorded(rows) {
      unrecorded = Math.max(0, unrecorded - rows);
      leave();
    },
    pressed() {
      const many = Math.max(ended.length, touches.size, contents.length);
      isPressed = many >= (isPressed ? RELIEVED_AT : PRESSED_AT);
      return isPressed;
    },
    flush() {
      unrecorded = 0;
      while (waiting()) {
        flushOne();
        unrecorded = 0;
      }
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
