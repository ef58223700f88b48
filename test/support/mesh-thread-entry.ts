/** The mesh's thread with a double of the member in it: its node name says how it behaves. */
import { parentPort } from 'node:worker_threads';
import { HoneyMeshError } from '#enforcer/errors.ts';
import type { MeshHost, MeshView } from '#enforcer/mesh/port.ts';
import { serveMesh } from '#enforcer/mesh/thread/serve.ts';

const port = parentPort;
if (port === null) throw new Error('runs as a worker thread only');

const view = (name: string): MeshView => ({
  self: { name, address: '127.0.0.1:7946', signer: null, site: null, certifiedUntil: null },
  peers: [],
  sites: 1,
  hosts: 1,
  keyGeneration: 0,
  keyIds: [],
  health: 0,
  counts: {},
});

serveMesh(
  port,
  (settings, onWord) => {
    if (settings.nodeName === 'fails') throw new HoneyMeshError('HM_CONFIG', 'the port is taken', { fix: 'choose another' });
    onWord({ kind: 'view', view: view(settings.nodeName) });
    const host: Partial<MeshHost> = {
      share: shared => onWord({ kind: 'sent', epoch: 1, seq: shared.length, advice: [] }),
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
      stop: () => Promise.resolve(),
    };
    return Promise.resolve(host as MeshHost);
  },
  () => process.exit(0),
);
