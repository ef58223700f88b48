/** Child processes that keep the contract of the scriptable node, ours or others': flags, commands on stdin, one JSON event a line on stdout. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const OUR_PEER = join(import.meta.dirname, '../interop/peer');

export interface PeerEvent {
  readonly ev: string;
  readonly ts: number;
  readonly [field: string]: unknown;
}

export interface PeerMember {
  readonly node: string;
  readonly addr: string;
  readonly state: string;
  readonly inc: number;
  readonly meta: string;
}

export interface Peer {
  readonly name: string;
  readonly addr: string;
  readonly events: readonly PeerEvent[];
  /** Its process has ended, however. */
  readonly ended: Promise<number | null>;
  /** Resolves with its reply, whether it went well or not. */
  ask(command: string): Promise<PeerEvent>;
  /** As `ask`, and rejects where it did not go well. */
  tell(command: string): Promise<PeerEvent>;
  /** The first event that came or comes, from the beginning, that is wanted. */
  until(what: string, wanted: (event: PeerEvent) => boolean, timeoutMs?: number): Promise<PeerEvent>;
  members(): Promise<readonly PeerMember[]>;
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void;
  /** At once, without goodbye. */
  kill(): Promise<void>;
  quit(): Promise<number | null>;
}

const PATIENCE_MS = 30_000;

export const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Peers of one test; all are ended at its end, whatever became of it. */
export function createPeers() {
  const children: ChildProcessWithoutNullStreams[] = [];

  async function start(name: string, flags: readonly string[] = [], program: string = OUR_PEER): Promise<Peer> {
    const child = spawn(program, ['-name', name, '-bind', '127.0.0.1', ...flags], { stdio: 'pipe' });
    children.push(child);
    const events: PeerEvent[] = [];
    const watchers = new Set<() => void>();
    let errors = '';
    let exit: number | null | undefined;
    let lastId = 0;
    child.stderr.on('data', chunk => {
      errors = `${errors}${chunk}`.slice(-4000);
    });
    child.stdin.on('error', () => undefined); // it is gone: `exit` tells
    createInterface({ input: child.stdout }).on('line', line => {
      events.push(JSON.parse(line) as PeerEvent);
      for (const watcher of watchers) watcher();
    });
    const exited = new Promise<number | null>(resolve => {
      child.on('close', code => {
        exit = code;
        resolve(code);
        for (const watcher of watchers) watcher();
      });
    });

    function until(what: string, wanted: (event: PeerEvent) => boolean, timeoutMs = PATIENCE_MS): Promise<PeerEvent> {
      const { promise, resolve, reject } = Promise.withResolvers<PeerEvent>();
      let at = 0;
      const end = (): void => {
        clearTimeout(timer);
        watchers.delete(look);
      };
      const fail = (why: string): void => {
        end();
        const tail = events.slice(-8).map(event => JSON.stringify(event).slice(0, 300));
        reject(new Error(`${name}: ${what}: ${why}\n${errors}\n${tail.join('\n')}`));
      };
      const look = (): void => {
        while (at < events.length) {
          const event = events[at++] as PeerEvent;
          if (!wanted(event)) continue;
          end();
          resolve(event);
          return;
        }
        if (exit !== undefined) fail(`it ended with ${exit}`);
      };
      const timer = setTimeout(() => fail(`not within ${timeoutMs} ms`), timeoutMs);
      watchers.add(look);
      look();
      return promise;
    }

    const ask = (command: string): Promise<PeerEvent> => {
      const id = `${++lastId}`;
      child.stdin.write(`#${id} ${command}\n`);
      return until(`the reply to "${command.slice(0, 60)}"`, event => event.ev === 'reply' && event.id === id);
    };
    const tell = async (command: string): Promise<PeerEvent> => {
      const reply = await ask(command);
      if (reply.ok !== true) throw new Error(`${name}: ${command.slice(0, 60)}: ${String(reply.error)}`);
      return reply;
    };
    const ready = await until('ready', event => event.ev === 'ready');
    return {
      name,
      addr: String(ready.addr),
      events,
      ended: exited,
      ask,
      tell,
      until,
      members: async () => (await tell('members')).members as readonly PeerMember[],
      signal(name) {
        child.kill(name);
      },
      async kill() {
        child.kill('SIGKILL');
        await exited;
      },
      quit() {
        child.stdin.end('quit\n');
        return exited;
      },
    };
  }

  return {
    start,
    async stop() {
      for (const child of children.splice(0)) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const closed = new Promise(resolve => child.once('close', resolve));
        child.kill('SIGKILL');
        await closed;
      }
    },
  };
}
