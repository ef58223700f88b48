/** One connection to a trap: the driver between a socket and a machine. It owns the clock, the bounds and the end: always by RST. */
import type { Socket } from 'node:net';
import type { Address } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { LONGEST_HEAD, type SessionEnd, type TrapObservation } from '../messages.ts';
import type { Outcome, TrapMachine } from '../protocols/machine.ts';

export interface Session {
  readonly source: Address;
  close(end: SessionEnd): void;
}

export interface SessionDeps {
  readonly machine: TrapMachine;
  readonly observe: (observation: TrapObservation) => void;
  readonly onEnd: () => void;
}

const DRAIN_MS = 200; // what a machine said last must be out before the RST; a peer that does not read must not hold us

export function openSession(socket: Socket, source: Address, port: number, { machine, observe, onEnd }: SessionDeps): Session {
  const openedMs = performance.now();
  const head = Buffer.alloc(LONGEST_HEAD);
  let receivedBytes = 0;
  let alarm: NodeJS.Timeout | undefined;
  let over = false;

  function follow(outcome: Outcome): void {
    if (outcome.send !== undefined) socket.write(outcome.send);
    clearTimeout(alarm);
    if (outcome.close) {
      finish(outcome.observations.some(seen => seen.kind === 'too-much') ? 'too-much' : 'deadline');
      return;
    }
    if (outcome.wakeAtMs !== 'never')
      alarm = setTimeout(() => follow(machine.expire(performance.now())), Math.max(1, Math.ceil(outcome.wakeAtMs - performance.now())));
  }

  function finish(end: SessionEnd): void {
    if (over) return;
    over = true;
    clearTimeout(alarm);
    socket.pause();
    if (receivedBytes > 0) {
      const seen = head.toString('base64', 0, Math.min(receivedBytes, LONGEST_HEAD));
      const durationMs = Math.round(performance.now() - openedMs);
      observe({ kind: 'ended', at: unixMs(Date.now()), source, port, protocol: machine.protocol, head: seen, receivedBytes, durationMs, end });
    }
    onEnd();
    if (socket.writableLength === 0 || end === 'banned') return void socket.resetAndDestroy();
    const patience = setTimeout(() => socket.resetAndDestroy(), DRAIN_MS);
    socket.once('drain', () => {
      clearTimeout(patience);
      socket.resetAndDestroy();
    });
  }

  socket.setNoDelay(true);
  socket.on('error', () => finish('peer'));
  socket.on('end', () => finish('peer'));
  socket.on('close', () => finish('peer'));
  socket.on('data', (chunk: Buffer) => {
    if (receivedBytes < LONGEST_HEAD) chunk.copy(head, receivedBytes);
    receivedBytes += chunk.length;
    follow(machine.receive(chunk, performance.now()));
  });
  follow(machine.open(performance.now()));
  return { source, close: finish };
}
