/**
 * Preloaded into the daemon (NODE_OPTIONS=--import): how late its event loop comes to a timer that is due each millisecond. SIGUSR2 writes what was seen since the
 * last one to $HONEYMESH_BENCH_DELAYS and begins anew. The launcher has it too and does nothing with it; the trap process gets no environment.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const path = process.env.HONEYMESH_BENCH_DELAYS;

if (path !== undefined && process.argv[1]?.includes('daemon-entry')) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  process.on('SIGUSR2', () => {
    const ms = ns => Math.max(0, ns / 1e6 - RESOLUTION_MS);
    writeFileSync(path, JSON.stringify({ p50: ms(delays.percentile(50)), p99: ms(delays.percentile(99)), longest: ms(delays.max), count: delays.count }));
    delays.reset();
  });
}
