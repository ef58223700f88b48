/** The worker of the store, which ends in the middle of an append as often as the file named in HONEYMESH_TEST_CRASHES says: `before 2`, `after 1`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

const file = process.env['HONEYMESH_TEST_CRASHES'] ?? '';
const port = parentPort;
if (port === null) throw new Error('runs as a worker only');

function due(when: 'before' | 'after'): boolean {
  const [said, times] = existsSync(file) ? readFileSync(file, 'utf8').split(' ') : [];
  if (said !== when || Number(times) < 1) return false;
  writeFileSync(file, `${when} ${Number(times) - 1}`);
  return true;
}

const listen = port.on.bind(port);
port.on = ((event: string, listener: (message: { kind: string }) => void) =>
  listen(event, (message: { kind: string }) => {
    if (message.kind === 'append' && due('before')) process.exit(9);
    listener(message);
  })) as typeof port.on;
const post = port.postMessage.bind(port);
port.postMessage = (reply: { ok: boolean; answer?: { firstId?: number } | null }) => {
  if (reply.ok && reply.answer?.firstId !== undefined && due('after')) process.exit(9);
  post(reply);
};
await import('#enforcer/store/worker.ts');
