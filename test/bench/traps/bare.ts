/** The bare Node server as a contender. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Contender } from './contender.ts';
import { lineCounter } from './log-lines.ts';
import { createBenchWire, pinnedTo, SERVER_CORE } from './wire.ts';

const SERVER = fileURLToPath(new URL('./bare-server.mjs', import.meta.url));

/** `timer`: with one for each connection. */
export async function startBareServer(timer: 'timer' | 'no-timer'): Promise<Contender> {
  const wire = createBenchWire();
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-bench-'));
  const log = join(folder, 'log');
  const child = wire.host.start([...pinnedTo(SERVER_CORE), process.execPath, SERVER, log, timer], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout === null) throw new Error('the bare server says nothing');
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => Promise.reject(new Error('the bare server does not start')))]);
  const count = lineCounter(log, '"source"');
  return {
    name: `bare Node ${process.versions.node} server`,
    clients: wire.clients,
    pids: () => ({ server: child.pid ?? 0 }),
    logSize: async () => count.total(),
    logged: async () => count.fresh(),
    async remove() {
      child.kill('SIGKILL');
      wire.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
