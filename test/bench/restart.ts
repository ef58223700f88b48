/**
 * `npm run bench:restart [-- --json FILE] [--rounds N]`: 10,000 bans across a restart, while banned sources hammer at the host. Three ways to go: the daemon is
 * killed and its launcher starts another one; everything is stopped and started again; everything is taken off the kernel and started again, so that the
 * bans come back from the ledger on disk. Needs root.
 *
 * `reconciled` is what the daemon itself says in the event log (ledger and kernel compared and mended, each ban read back). `start to on` is from the start of
 * the process to the launcher's word that it is on: Node's start, the programs' load, the traps' process and all. Packets through are counted by a packet
 * socket behind the filter; a witness that nobody banned shows that it hears.
 */
import { spawnSync } from 'node:child_process';
import { type ControlClient, connectControl } from '#enforcer/control/client.ts';
import { build } from '#enforcer/launch/setup/build.mjs';
import { banAll } from '#test/support/chaos-clients.ts';
import { isHammered } from '#test/support/chaos-orders.ts';
import { createWire, TRAP_PORT, WITNESS, type Wire } from '#test/support/chaos-wire.ts';
import { createEnforcerHost, type EnforcerHost, eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { benchCommandLine } from './support/command-line.ts';
import { quantile } from './support/rounds.ts';
import { type BenchRow, figure, report, withoutPeer } from './support/rows.ts';

const BANS = 10_000;
const GOAL_MS = 500;
const HAMMERING = ['10.91.255.66', 'fd91:ff::66', '10.92.3.232'];
const PREFIXES = ['10.91.254.0/24', 'fd91:fe::/48'];
const IN_PREFIXES = ['10.91.254.7', 'fd91:fe::7'];

interface Restart {
  /** From the first moment without the former daemon to the word that another one is on. */
  readonly downMs: number;
  readonly reconciledMs: number;
  readonly enforced: number;
  readonly through: number;
}

const { jsonPath, rounds } = benchCommandLine('restart');
build({ log: line => console.error(line) });
const wire = await createWire();
try {
  report(await measured(wire), { title: `restart bench, ${BANS} bans, medians of ${rounds} rounds`, jsonPath });
} finally {
  wire.remove();
}

async function measured({ host, hammer, ear }: Wire): Promise<readonly BenchRow[]> {
  const enforcer = createEnforcerHost(host, `interfaces: [eth0]\ntraps: { ports: [${TRAP_PORT}] }\nlog: { level: warn }\n`);
  try {
    let running = enforcer.run();
    await running.ready();
    const singles = Array.from({ length: BANS - HAMMERING.length - PREFIXES.length }, (_, at) => `198.18.${at >> 8}.${at & 255}`);
    await asked(enforcer, control => banAll(control, [...singles, ...HAMMERING, ...PREFIXES]));
    await hammer.add(...HAMMERING, ...IN_PREFIXES);

    const through = async (): Promise<number> => {
      const heard = await ear.heard();
      if ((heard.get(WITNESS)?.frames ?? 0) === 0) throw new Error('the witness was not heard, so nobody could have been');
      return [...heard].reduce((sum, [source, { frames }]) => (isHammered(source) ? sum + frames : sum), 0);
    };
    const around = async (restart: () => Promise<number>): Promise<Restart> => {
      const before = await through();
      const downMs = await restart();
      const reconciledMs = await lastReconciledMs(enforcer);
      const rows = await asked(enforcer, control => control.listBans({}));
      return { downMs, reconciledMs, enforced: rows.filter(row => row.enforced && row.tier === 'operator').length, through: (await through()) - before };
    };
    const startAgain = async (): Promise<number> => {
      const startedMs = performance.now();
      running = enforcer.run();
      await running.ready();
      return performance.now() - startedMs;
    };

    const taken: Record<'kill' | 'stop' | 'unload', Restart[]> = { kill: [], stop: [], unload: [] };
    for (let round = 0; round < rounds; round++) {
      taken.kill.push(await around(() => killDaemon(enforcer, running)));
      taken.stop.push(
        await around(async () => {
          await enforcer.honeymesh(['stop']);
          await running.ended;
          return startAgain();
        }),
      );
      await enforcer.honeymesh(['unload']);
      await running.ended;
      taken.unload.push(await around(startAgain));
    }
    return rowsOf(taken);
  } finally {
    await enforcer.remove();
  }
}

async function asked<T>(enforcer: EnforcerHost, question: (control: ControlClient) => Promise<T>): Promise<T> {
  const control = await connectControl(enforcer.paths.socket);
  try {
    return await question(control);
  } finally {
    control.close();
  }
}

async function killDaemon(enforcer: EnforcerHost, running: RunningEnforcer): Promise<number> {
  const former = running.daemonPid() ?? 0;
  const startedMs = performance.now();
  process.kill(former, 'SIGKILL');
  await eventually(
    'another daemon answers',
    async () =>
      running.daemonPid() !== undefined && running.daemonPid() !== former && (await asked(enforcer, control => control.status()).catch(() => null)) !== null,
    30_000,
  );
  return performance.now() - startedMs;
}

async function lastReconciledMs(enforcer: EnforcerHost): Promise<number> {
  const events = await asked(enforcer, control => control.listEvents({ kinds: ['lifecycle'], limit: 20 }));
  const tookMs = events.find(({ detail }) => typeof detail?.tookMs === 'number')?.detail?.tookMs;
  if (typeof tookMs !== 'number') throw new Error('the log does not tell how long reconciling took');
  return tookMs;
}

function rowsOf(taken: Readonly<Record<'kill' | 'stop' | 'unload', readonly Restart[]>>): readonly BenchRow[] {
  const median = (of: readonly Restart[], what: (restart: Restart) => number): number => quantile(of.map(what), 0.5);
  const most = (of: readonly Restart[], what: (restart: Restart) => number): number => Math.max(...of.map(what));
  const lost = (of: readonly Restart[]): number => BANS - Math.min(...of.map(({ enforced }) => enforced));
  const note = 'packets through and bans lost: the worst of all rounds';
  const rows = (name: string, of: readonly Restart[]): readonly BenchRow[] => [
    figure({ what: `${name}: packets of banned sources through`, unit: 'packets', ours: most(of, ({ through }) => through), goal: { atMost: 0 }, note }),
    figure({ what: `${name}: bans lost`, unit: 'bans', ours: lost(of), goal: { atMost: 0 } }),
    figure({ what: `${name}: reconciled`, unit: 'ms', ours: median(of, ({ reconciledMs }) => reconciledMs), goal: { below: GOAL_MS } }),
  ];
  const backMs = median(taken.unload, ({ downMs }) => downMs);
  return [
    ...rows('daemon killed', taken.kill),
    figure({
      what: 'daemon killed: until another one answers',
      unit: 'ms',
      ours: median(taken.kill, ({ downMs }) => downMs),
      note: 'with the back-off of 250 ms and more',
    }),
    ...rows('stop and start', taken.stop),
    figure({ what: 'stop and start: start to on', unit: 'ms', ours: median(taken.stop, ({ downMs }) => downMs) }),
    ...rows('unload and start', taken.unload).slice(1), // in between nothing is enforced: that is what unload means
    figure({ what: 'unload and start: start to on, all bans back', unit: 'ms', ours: backMs }),
    ...[
      ['fail2ban', 'fail2ban-client'],
      ['CrowdSec', 'cscli'],
    ].map(([peerName = '', command = '']) =>
      withoutPeer({
        what: `${BANS.toLocaleString('en')} bans in force again`,
        unit: 'ms',
        ours: backMs,
        peerName,
        why: isThere(command) ? 'installed, but not driven by this bench' : 'not installed',
      }),
    ),
  ];
}

function isThere(command: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', '-', command]).status === 0;
}
