/**
 * `npm run bench:traps [-- --json FILE] [--rounds N] [--only PART] [--setup-peers]`: what traps take from a host and what they give, beside OpenCanary and a bare
 * Node server, each of which has a host of its own in a network namespace, and one core for all its processes; the clients have the other core. Needs root.
 *
 * `load`: connections accepted, answered and logged a second. `strangers`: the same while each source gets banned. `held`: ten thousand sessions at once.
 * `strain`: how late the daemon and the drop are under the load. `scan`: what nmap believes. All together take some fifteen minutes; docs/benchmarks.md.
 */
import { availableParallelism } from 'node:os';
import { build } from '#enforcer/launch/setup/build.mjs';
import { benchCommandLine } from './support/command-line.ts';
import { type BenchRow, report } from './support/rows.ts';
import { buildClients } from './traps/clients.ts';
import type { Part } from './traps/contender.ts';
import { heldRows } from './traps/held-rows.ts';
import { loadRows } from './traps/load-rows.ts';
import { findOpenCanary, setUpOpenCanary } from './traps/opencanary.ts';
import { scanRows } from './traps/scan-rows.ts';
import { strainRows } from './traps/strain-rows.ts';
import { strangersRows } from './traps/strangers-rows.ts';

const PARTS = { load: loadRows, strangers: strangersRows, held: heldRows, strain: strainRows, scan: scanRows } as const satisfies Readonly<
  Record<string, Part>
>;

const { jsonPath, rounds, parts, setUpPeers } = benchCommandLine('traps', { parts: Object.keys(PARTS) as (keyof typeof PARTS)[], peers: true });
if (availableParallelism() < 2) {
  console.error('error: this bench needs two processors: one for the traps, one for their clients');
  process.exit(1);
}
if (setUpPeers) setUpOpenCanary();
build({ log: line => console.error(line) });
const clients = buildClients();
try {
  const rows: BenchRow[] = [];
  for (const part of parts) {
    console.error(`${part} ...`);
    rows.push(...(await PARTS[part]({ clients, rounds, openCanary: findOpenCanary() })));
  }
  report(rows, { title: `traps bench, medians of ${rounds} rounds`, jsonPath });
} finally {
  clients.remove();
}
