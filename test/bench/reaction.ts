/**
 * `npm run bench:reaction [-- --json FILE] [--rounds N]`: from an act in a trap to the first dropped packet of that source. A whole enforcer in one network
 * namespace, the attacker in another, each time from a fresh address. Needs root.
 *
 * The attacker opens a connection to a trap without waiting for it and from the same address sends a numbered datagram about each 100 us to a port that is
 * served. The act is the last packet of the handshake, by the kernel's own time stamp where it comes in behind the packet filter; the end is the time at which
 * the first datagram was sent that did not come through. So no figure hangs on when a process of the attacker's is woken up, and each is late by at most
 * the gap between two datagrams.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { build } from '#enforcer/launch/setup/build.mjs';
import { createWire, TRAP_PORT, type Wire } from '#test/support/chaos-wire.ts';
import { createEnforcerHost } from '#test/support/enforcer.ts';
import { type Act, act } from './reaction/acts.ts';
import { benchCommandLine } from './support/command-line.ts';
import { quantile } from './support/rounds.ts';
import { type BenchRow, figure, report, withoutPeer } from './support/rows.ts';

const SOURCES_A_ROUND = 60;
const WARM_UPS = 20;
const WINDOW_MS = 20;
const GOALS = { p50: 1, p99: 5 } as const; // ms

const { jsonPath, rounds } = benchCommandLine('reaction');
build({ log: line => console.error(line) });
const wire = await createWire();
try {
  const acts = await measured(wire);
  report([...rowsOf(acts), loadRow()], { title: `reaction bench, ${acts.length} acts of as many sources`, jsonPath });
} finally {
  wire.remove();
}

async function measured({ host, outside }: Wire): Promise<readonly Act[]> {
  const enforcer = createEnforcerHost(host, `interfaces: [eth0]\ntraps: { ports: [${TRAP_PORT}] }\nlog: { level: warn }\n`);
  try {
    await enforcer.run().ready();
    const acts: Act[] = [];
    for (let round = 0; round < rounds; round++) {
      const sources = Array.from({ length: SOURCES_A_ROUND + (round === 0 ? WARM_UPS : 0) }, (_, at) => sourceOf(round * 100 + at));
      acts.push(...(await act(host, outside, { sources, gapUs: 100, windowMs: WINDOW_MS, pauseMs: 10 })));
    }
    return acts.slice(WARM_UPS);
  } finally {
    await enforcer.remove();
  }
}

/** One or two in a /24: more of them would become a ban of the whole network, before they act. */
function sourceOf(at: number): string {
  return `10.90.${at % 250}.${1 + Math.floor(at / 250)}`;
}

function rowsOf(acts: readonly Act[]): readonly BenchRow[] {
  const reactionsMs = acts.map(({ actedNs, firstDroppedNs }) => (firstDroppedNs === null ? WINDOW_MS : (firstDroppedNs - actedNs) / 1e6));
  const gapsMs = acts.flatMap(({ lastThroughNs, firstDroppedNs }) =>
    lastThroughNs === null || firstDroppedNs === null ? [] : [(firstDroppedNs - lastThroughNs) / 1e6],
  );
  const what = 'act in a trap to first dropped packet';
  const p50 = quantile(reactionsMs, 0.5);
  const ours = { what: `${what}, p50`, unit: 'ms' };
  return [
    figure({ ...ours, ours: p50, goal: { below: GOALS.p50 } }),
    figure({ what: `${what}, p90`, unit: 'ms', ours: quantile(reactionsMs, 0.9) }),
    figure({ what: `${what}, p99`, unit: 'ms', ours: quantile(reactionsMs, 0.99), goal: { below: GOALS.p99 } }),
    figure({
      what: `${what}, longest`,
      unit: 'ms',
      ours: Math.max(...reactionsMs),
      note: `who was still not dropped ${WINDOW_MS} ms after it began counts as ${WINDOW_MS} ms`,
    }),
    figure({
      what: 'resolution: gap around the first dropped packet, p50',
      unit: 'ms',
      ours: quantile(gapsMs, 0.5),
      note: 'every figure is late by up to this gap',
    }),
    ...[
      ['portsentry', 'portsentry'],
      ['fail2ban', 'fail2ban-client'],
      ['CrowdSec', 'cscli'],
    ].map(([peerName = '', command = '']) =>
      withoutPeer({
        ...ours,
        ours: p50,
        peerName,
        why: isThere(command) ? 'installed, but no peer of this bench: it reads logs or binds the ports itself' : 'not installed',
      }),
    ),
  ];
}

/** Who waits for a processor reacts late, whatever the program: a figure without the load says little. */
function loadRow(): BenchRow {
  const note = 'above 1 processes wait for their turn, those that are measured and the one that measures too';
  return figure({
    what: 'load of the machine in the last minute, for each processor',
    unit: 'processes',
    ours: (loadavg()[0] ?? 0) / availableParallelism(),
    note,
  });
}

function isThere(command: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', '-', command]).status === 0;
}
