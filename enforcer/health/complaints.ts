/** What is looked at every second and said in status: whether the event log is written, and whether there is room for another ban. */
import type { Ledger } from '../ledger/decisions.ts';
import type { Store } from '../store/port.ts';
import type { DegradedBoard } from './degraded.ts';

export function lookAtStore(store: Pick<Store, 'status'>, directory: string, degraded: DegradedBoard): void {
  const stored = store.status();
  if (stored.ok) degraded.clear('store', 'status');
  else degraded.raise({ part: 'store', why: stored.why ?? 'the event log cannot be written', fix: stored.fix ?? `look at ${directory}` }, 'status');
}

export function lookAtRooms(ledger: Pick<Ledger, 'fullRooms'>, degraded: DegradedBoard): void {
  const [first, ...others] = ledger.fullRooms();
  if (first === undefined) degraded.clear('kernel', 'room');
  else degraded.raise({ part: 'kernel', why: [first, ...others].map(room => room.why).join('; '), fix: first.fix }, 'room');
}
