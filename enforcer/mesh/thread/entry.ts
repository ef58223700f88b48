/** The thread in which this host is a member of the mesh. */
import { parentPort } from 'node:worker_threads';
import { HoneyMeshError } from '../../errors.ts';
import { startMeshHost } from '../host/host.ts';
import { serveMesh } from './serve.ts';

const port = parentPort;
if (port === null) throw new Error('mesh/thread/entry.ts runs as a worker thread only');

serveMesh(
  port,
  async (settings, onWord) => {
    const started = await startMeshHost(settings, { onWord });
    if (started.ok) return started.value;
    throw new HoneyMeshError('HM_CONFIG', started.why, { fix: started.fix });
  },
  () => process.exit(0), // of a thread: the thread
);
