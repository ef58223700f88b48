/** What the load does to the daemon: how late its event loop is, and how late an attacker is dropped who touches a trap meanwhile. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '#test/support/enforcer.ts';
import { type Act, act } from '../reaction/acts.ts';
import type { Clients, Counted } from './clients.ts';
import { calmTalk } from './load.ts';
import { type Ours, startOurs } from './ours.ts';
import { ACTORS, CLIENT_CORE, pinnedTo } from './wire.ts';

const RECORDER = fileURLToPath(new URL('./recorder.mjs', import.meta.url));
const SERVED_PORT = 5000; // that of the reaction bench

export interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  readonly count: number;
}

export interface StrainRound {
  readonly delaysMs: Delays;
  readonly acts: readonly Act[];
  readonly load: Counted;
}

export interface Strained {
  /** The load of `connections`, and these sources one after the other meanwhile. */
  round(sources: readonly string[], connections: number): Promise<StrainRound>;
  remove(): Promise<void>;
}

export const WINDOW_MS = 40;
const PAUSE_MS = 5;
/** So long an act takes, with its pause and some room: the load goes on a little longer than all of them. */
export const ACT_MS = WINDOW_MS + PAUSE_MS + 5;

export async function startStrained(config: string, clients: Clients): Promise<Strained> {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-bench-'));
  const path = join(folder, 'delays.json');
  const ours = await startOurs({ config, env: { NODE_OPTIONS: `--import=${RECORDER}`, HONEYMESH_BENCH_DELAYS: path } });
  const service = ours.wire.host.start([...pinnedTo(CLIENT_CORE), 'python3', '-c', SERVICE], { stdio: ['ignore', 'ignore', 'inherit'] });
  return {
    async round(sources, connections) {
      await delaysOf(ours, path);
      const loaded = clients.talk(ours.clients, { ...calmTalk, connections });
      const acts = await act(ours.wire.host, ours.clients, {
        sources,
        gapUs: 200,
        windowMs: WINDOW_MS,
        pauseMs: PAUSE_MS,
        heardOnly: ACTORS,
        // Above the clients with which they share a core: else what is measured is how long their probes wait there.
        before: ['chrt', '--fifo', '1', ...pinnedTo(CLIENT_CORE)],
      });
      const load = await loaded;
      return { acts, load, delaysMs: await delaysOf(ours, path) };
    },
    async remove() {
      service.kill('SIGKILL');
      await ours.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Since the last call. */
async function delaysOf(ours: Ours, path: string): Promise<Delays> {
  rmSync(path, { force: true });
  const { daemon = 0 } = ours.pids();
  process.kill(daemon, 'SIGUSR2');
  await eventually('the daemon writes how late its event loop was', () => existsSync(path) && readFileSync(path, 'utf8').endsWith('}'));
  return JSON.parse(readFileSync(path, 'utf8')) as Delays;
}

/** A real service: what is sent to it is neither scan nor flood. */
const SERVICE = `
import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('0.0.0.0', ${SERVED_PORT}))
while True: u.recv(2000)
`;
