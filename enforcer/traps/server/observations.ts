/**
 * What the sessions saw, on its way to the daemon: a touch leaves at once where nothing else is on the way, a flood of them is merged and bounded. What
 * does not fit is counted, never queued without end.
 */
import { LARGEST_BATCH, type TrapMessage, type TrapObservation } from '../messages.ts';

export interface ObservationQueue {
  add(observation: TrapObservation): void;
}

export interface ObservationQueueDeps {
  /** Hands a message to the channel; `done` is called when it has left. */
  readonly send: (message: TrapMessage, done: () => void) => void;
  /** Runs later in this turn of the loop, once for all that was accepted in it. */
  readonly soon: (task: () => void) => void;
  readonly sessions: () => number;
}

const MOST_WAITING = 4 * LARGEST_BATCH;
const MOST_ON_THE_WAY = 8; // batches: the daemon is late, but not lost

export function createObservationQueue({ send, soon, sessions }: ObservationQueueDeps): ObservationQueue {
  const touches = new Map<string, Extract<TrapObservation, { kind: 'touch' }>>();
  let ended: TrapObservation[] = [];
  let onTheWay = 0;
  let lost = 0;
  let planned = false;

  function plan(): void {
    if (planned || onTheWay >= MOST_ON_THE_WAY) return;
    planned = true;
    soon(flush);
  }

  function flush(): void {
    planned = false;
    // Touches first: they are what bans.
    const batch: TrapObservation[] = [];
    for (const [name, touch] of touches) {
      if (batch.length >= LARGEST_BATCH) break;
      batch.push(touch);
      touches.delete(name);
    }
    const room = LARGEST_BATCH - batch.length;
    batch.push(...ended.slice(0, room));
    ended = ended.slice(room);
    if (batch.length === 0) return;
    onTheWay++;
    const told = lost;
    lost = 0;
    send({ kind: 'observations', observations: batch, sessions: sessions(), lost: told }, () => {
      onTheWay--;
      if (touches.size + ended.length > 0) plan();
    });
    if (touches.size + ended.length > 0) plan();
  }

  return {
    add(observation) {
      if (observation.kind === 'touch') {
        const name = `${observation.source} ${observation.port}`;
        const known = touches.get(name);
        if (known !== undefined) touches.set(name, { ...known, count: known.count + observation.count });
        else if (touches.size < MOST_WAITING) touches.set(name, observation);
        else lost++;
      } else if (ended.length < MOST_WAITING) ended.push(observation);
      else lost++;
      if (observation.kind === 'touch' && onTheWay === 0 && !planned) flush();
      else plan();
    },
  };
}
