/** Clients next door with a whole TCP stack: regular ones that must not notice anything, and attackers that complete handshakes with traps. */
import { createInterface } from 'node:readline';
import type { ControlClient } from '#enforcer/control/client.ts';
import { HOST, SERVED_PORT } from '#test/support/chaos-wire.ts';
import type { Namespace } from '#test/support/namespaces.ts';

export interface Visits {
  /** Ends the client. How its visits went: the time of each in ms, null where it failed. */
  stop(): Promise<readonly (number | null)[]>;
}

/** Comes to the real service every `everyMs`, each time with a new connection, and waits 5 s for the answer. `source`: an address of the namespace. */
export function regularClient(outside: Namespace, source: string, everyMs = 50): Visits {
  return visitor(outside, { sources: [source], port: SERVED_PORT, everyMs, patienceMs: 5_000, answer: 'real' });
}

/** Connects to a trap from one source after the other. */
export function trapVisitors(outside: Namespace, sources: readonly string[], port: number, everyMs = 30): Visits {
  return visitor(outside, { sources, port, everyMs, patienceMs: 300, answer: '' });
}

const LINES_AT_ONCE = 5_000; // as `bans import` sends them

/** Bans them all by order; throws where one is refused. */
export async function banAll(control: ControlClient, targets: readonly string[]): Promise<void> {
  for (let at = 0; at < targets.length; at += LINES_AT_ONCE) {
    const { refused } = await control.importBans({ lines: targets.slice(at, at + LINES_AT_ONCE) });
    if (refused.length > 0) throw new Error(`${refused.length} bans were refused, the first: ${refused[0]?.text}: ${refused[0]?.why}`);
  }
}

interface Visiting {
  readonly sources: readonly string[];
  readonly port: number;
  readonly everyMs: number;
  readonly patienceMs: number;
  readonly answer: string;
}

function visitor(outside: Namespace, visiting: Visiting): Visits {
  const child = outside.start(['python3', '-u', '-c', VISITOR, JSON.stringify(visiting)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const times: (number | null)[] = [];
  if (child.stdout === null || child.stdin === null) throw new Error('a client needs its streams');
  createInterface({ input: child.stdout }).on('line', line => times.push(line === '-' ? null : Number(line)));
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  const { stdin } = child;
  stdin.on('error', () => {});
  return {
    async stop() {
      stdin.end();
      await ended;
      return times;
    },
  };
}

const VISITOR = `
import itertools, json, select, socket, sys, time
it = json.loads(sys.argv[1])
for source in itertools.cycle(it['sources']):
    if select.select([sys.stdin], [], [], it['everyMs'] / 1000)[0]: break
    began = time.monotonic()
    try:
        s = socket.create_connection(('${HOST}', it['port']), it['patienceMs'] / 1000, (source, 0))
        if it['answer']: s.sendall(b'hello') # what is lost on the way is sent again, also where a SYN cookie made the connection
        answer = s.recv(100) if it['answer'] else b''
        s.close()
        print(round((time.monotonic() - began) * 1000, 1) if it['answer'].encode() == answer else '-')
    except OSError: print('-')
`;
