/**
 * The other side of the live tests, inside its network namespace: connections that stay open, and datagrams. Takes commands as lines of JSON and
 * answers each with one line, a string.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';

export interface ClientOrder {
  readonly command: ClientCommand;
  /** For an answer that is to come, long; where silence is expected, no longer than an answer would take. */
  readonly waitMs: number;
}

export type ClientCommand =
  /** The greeting, an error's code, or "silence". */
  | { readonly do: 'open'; readonly id: string; readonly from: string; readonly to: string; readonly port: number }
  /** What came back to it, or "silence", "closed". */
  | { readonly do: 'say'; readonly id: string; readonly text: string }
  /** What came meanwhile without being asked for. */
  | { readonly do: 'hear'; readonly id: string }
  | { readonly do: 'reset'; readonly id: string }
  /** The answer, if it came from that port; an error's code (ECONNREFUSED: the port is closed), or "silence". */
  | { readonly do: 'ask'; readonly from: string; readonly fromPort?: number; readonly to: string; readonly port: number; readonly text: string };

interface Connection {
  readonly socket: net.Socket;
  said: string;
  closed: boolean;
}
const connections = new Map<string, Connection>();

const patience = (waitMs: number, signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    const timer = setTimeout(resolve, waitMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** Whatever of it comes first, or nothing. */
async function first(waitMs: number, socket: net.Socket | ReturnType<typeof createSocket>, ...events: readonly string[]): Promise<void> {
  const done = new AbortController();
  await Promise.race([...events.map(event => once(socket, event, { signal: done.signal }).catch(() => {})), patience(waitMs, done.signal)]);
  done.abort();
}

const taken = (connection: Connection): string => {
  const { said } = connection;
  connection.said = '';
  return said !== '' ? said : connection.closed ? 'closed' : 'silence';
};

async function open({ id, from, to, port }: ClientCommand & { do: 'open' }, waitMs: number): Promise<string> {
  const socket = net.connect({ host: to, port, localAddress: from });
  const connection: Connection = { socket, said: '', closed: false };
  connections.set(id, connection);
  let failed = '';
  socket.on('data', bytes => (connection.said += bytes));
  socket.on('error', error => (failed = (error as NodeJS.ErrnoException).code ?? error.message));
  socket.on('close', () => (connection.closed = true));
  await first(waitMs, socket, 'data', 'close');
  if (failed === '' && socket.pending) socket.destroy(); // else it would go on to send SYNs
  return failed !== '' ? failed : taken(connection);
}

async function ask({ from, fromPort, to, port, text }: ClientCommand & { do: 'ask' }, waitMs: number): Promise<string> {
  const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
  let answer = 'silence';
  socket.on('message', said => (answer = String(said)));
  socket.on('error', error => (answer = (error as NodeJS.ErrnoException).code ?? error.message));
  await new Promise<void>(resolve => socket.bind(fromPort ?? 0, from, resolve));
  await new Promise<void>(resolve => socket.connect(port, to, resolve)); // an answer from any other port is none
  const waiting = first(waitMs, socket, 'message', 'error');
  socket.send(text);
  await waiting;
  socket.close();
  return answer;
}

async function obey({ command, waitMs }: ClientOrder): Promise<string> {
  if (command.do === 'ask') return ask(command, waitMs);
  if (command.do === 'open') return open(command, waitMs);
  const connection = connections.get(command.id);
  if (connection === undefined) return 'no such connection';
  if (command.do === 'reset') {
    connection.socket.resetAndDestroy();
    await first(waitMs, connection.socket, 'close');
    return 'reset';
  }
  if (command.do === 'say') connection.said = '';
  if (command.do === 'say' && !connection.closed) connection.socket.write(command.text);
  if (connection.said === '' && !connection.closed) {
    await first(waitMs, connection.socket, 'data', 'close');
  }
  return taken(connection);
}

console.log(JSON.stringify('ready'));
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(JSON.parse(line) as ClientOrder)));
process.exit(0);
