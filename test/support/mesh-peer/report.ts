/** What the peer says: one JSON event a line, with the wall clock in microseconds. */
import { writeSync } from 'node:fs';
import { textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import type { MemberView } from '#enforcer/mesh/protocol/core/outputs.ts';
import { base64 } from './flags.ts';

export const nowMicros = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000);

export type Say = (event: string, fields?: object) => void;

/** Written at once: what a killed process said before is what its harness knows. */
export function createSay(descriptor: number): Say {
  return (event, fields = {}) => write(descriptor, `${JSON.stringify({ ev: event, ts: nowMicros(), ...fields })}\n`);
}

/** A pipe that is full for the moment says EAGAIN; what reads it is about to. */
function write(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') process.exit(0);
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Names are bytes in Latin-1; people write them in UTF-8. */
export const nameOf = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');
export const latin1Of = (name: string): string => Buffer.from(name, 'utf8').toString('latin1');

export const describeMember = (member: MemberView) => ({
  node: nameOf(member.name),
  addr: textOfEndpoint(member),
  state: member.state,
  inc: member.incarnation,
  meta: base64(member.meta),
  vsn: [...member.versions],
});
