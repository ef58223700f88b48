/** A whole enforcer as a contender, started and asked as an operator does. */
import type { EventKind } from '@honeymesh/intel/events';
import { type ControlClient, connectControl } from '#enforcer/control/client.ts';
import { createEnforcerHost, type EnforcerHost } from '#test/support/enforcer.ts';
import type { Contender } from './contender.ts';
import { commandLineOf, treeOf } from './processes.ts';
import { type BenchWire, createBenchWire, pinnedTo, SERVER_CORE } from './wire.ts';

/** What a connection to a trap leaves in the log, by what was said in it. */
const KINDS: readonly EventKind[] = ['touch', 'credentials', 'command', 'exploit', 'payload'];
const PAGE = 5_000;

export interface Ours extends Contender {
  readonly wire: BenchWire;
  readonly enforcer: EnforcerHost;
  /** A connection for each question: one that says nothing for a minute is closed. */
  asked<T>(question: (control: ControlClient) => Promise<T>): Promise<T>;
  /** The rows since the last call of this or of `logged`. */
  logRead(): Promise<LogRead>;
  /** What `honeymesh events verify` says. */
  verified(): Promise<boolean>;
}

export interface LogRead {
  /** Connections that have the row of their session, or were turned away at the door and are counted there. */
  readonly connections: number;
  /** Sources with a row of the traps, of any kind. */
  readonly sources: number;
}

export interface OursOptions {
  /** The text of the configuration file. */
  readonly config: string;
  /** Environment of the launcher and the daemon; the trap process gets none of it. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startOurs({ config, env = {} }: OursOptions): Promise<Ours> {
  const wire = createBenchWire();
  const enforcer = createEnforcerHost(wire.host, config);
  const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const asked = async <T>(question: (control: ControlClient) => Promise<T>): Promise<T> => {
    const control = await connectControl(enforcer.paths.socket);
    try {
      return await question(control);
    } finally {
      control.close();
    }
  };
  const remove = async (): Promise<void> => {
    await enforcer.remove();
    wire.remove();
  };
  try {
    const running = enforcer.run([...(words.length === 0 ? [] : ['env', ...words]), ...pinnedTo(SERVER_CORE)]);
    await running.ready();
    const newestId = async (): Promise<number> => (await asked(control => control.listEvents({ limit: 1 })))[0]?.id ?? 0;
    let readTo = await newestId();

    async function logRead(): Promise<LogRead> {
      const sources = new Set<string>();
      let connections = 0;
      for (;;) {
        const page = await asked(control => control.listEvents({ afterId: readTo, ascending: true, limit: PAGE }));
        for (const { id, kind, origin, source, detail } of page) {
          readTo = id;
          if (origin !== 'trap' || source === null || !KINDS.includes(kind)) continue;
          sources.add(source);
          if (typeof detail?.durationMs === 'number') connections++;
          else if (typeof detail?.refused === 'number') connections += detail.refused;
        }
        if (page.length < PAGE) return { connections, sources: sources.size };
      }
    }

    return {
      name: 'HoneyMesh',
      wire,
      enforcer,
      asked,
      clients: wire.clients,
      pids: () => Object.fromEntries(treeOf(running.pid).map(pid => [roleOf(pid), pid])),
      logSize: newestId, // status would count all bans
      logged: async () => (await logRead()).connections,
      logRead,
      verified: async () => (await enforcer.honeymesh(['events', 'verify'], { mayFail: true, timeoutMs: 120_000 })).code === 0,
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

function roleOf(pid: number): string {
  const line = commandLineOf(pid);
  if (line.includes('daemon-entry')) return 'daemon';
  return line.includes('traps/server/entry') ? 'traps' : 'launcher';
}
