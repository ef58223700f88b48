/** The mesh's thread with a double of the member in it: its node name says how it behaves. */
import { parentPort } from 'node:worker_threads';
import { unixMs } from '@honeymesh/intel/time';
import { HoneyMeshError } from '#enforcer/errors.ts';
import type { MeshHost } from '#enforcer/mesh/port.ts';
import { serveMesh } from '#enforcer/mesh/thread/serve.ts';
import { adviceOf } from '#test/support/advice.ts';
import { meshPeer, meshView } from '#test/support/mesh-settings.ts';

const FLOOD = 50_000;
const port = parentPort;
if (port === null) throw new Error('runs as a worker thread only');

serveMesh(
  port,
  (settings, onWord) => {
    if (settings.nodeName === 'fails') throw new HoneyMeshError('HM_CONFIG', 'the port is taken', { fix: 'choose another' });
    const now = unixMs(Date.now());
    const peers = settings.nodeName === 'alone' ? [] : [meshPeer({ answeredAt: now })];
    onWord({ kind: 'view', view: meshView(peers) });
    if (settings.nodeName === 'dies') onWord({ kind: 'complaint', key: 'udp', why: 'UDP is blocked', fix: 'open it' });
    const host: Partial<MeshHost> = {
      share(shared) {
        const advice = shared.flatMap(one => (one.kind === 'advise' ? [{ target: one.target, tier: one.tier, reasons: one.reasons, ttlS: 3_600 }] : []));
        onWord({ kind: 'sent', epoch: 1, seq: 1, advice });
      },
      /** A flood of advice, of which nothing is taken: all of it is on loopback. */
      advise() {
        const inputs = Array.from({ length: FLOOD }, () => ({ kind: 'advice', advice: adviceOf('a1', '127.0.0.1/32', now) }) as const);
        onWord({ kind: 'heard', inputs });
      },
      withdrawItem(seq) {
        if (seq === 1) throw new HoneyMeshError('HM_REFUSED', 'there is no such item', { fix: 'ask for another' });
        if (seq === 2) throw new TypeError('x is not a function');
        return true;
      },
      join() {
        if (settings.nodeName === 'dies') throw process.exit(7); // of a thread: ends the thread
        if (settings.nodeName === 'hangs') for (;;);
        return Promise.resolve({ contacted: 1, failed: [] });
      },
      leave() {
        onWord({ kind: 'peer', what: 'left', name: settings.nodeName, address: null, text: 'said goodbye' });
        return Promise.resolve('told');
      },
      stop: () => Promise.resolve(),
    };
    return Promise.resolve(host as MeshHost);
  },
  () => process.exit(0),
);
