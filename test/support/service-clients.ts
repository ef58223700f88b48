/**
 * A program: clients of one service, each with an address of its own. `service-clients.ts HOST PORT TOKEN SOURCE,SOURCE,...`
 * `visit`: each of them connects once. `throughout MS`: each connects again and again, with a pause, until `end`. Either way it then says, as
 * one line of JSON, how the visits ended: `served` by the token alone, `refused`, `cut` off before it came, or what else happened, in full.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [host = '', port = '', token = '', sources = ''] = process.argv.slice(2);
/** A trap that waits for its visitor to speak is silent; the service never is. Where it stops in the middle of a handshake, only who speaks is told by a reset. */
const SPEAKS_MS = 500;
const PATIENCE_MS = 3_000;
/** EPIPE: the reset came right behind the farewell. */
const HOW: Readonly<Record<string, string>> = { ECONNREFUSED: 'refused', ECONNRESET: 'cut', EPIPE: 'cut' };
let ends: Record<string, number> = {};
let stopped = false;

function visit(source: string): Promise<void> {
  return new Promise(resolve => {
    let heard = '';
    const socket = connect({ host, port: Number(port), localAddress: source });
    const finish = (how: string): void => {
      clearTimeout(patience);
      clearTimeout(speak);
      socket.destroy();
      const end = heard === token ? 'served' : heard === '' ? how : `heard ${JSON.stringify(heard)}`;
      ends[end] = (ends[end] ?? 0) + 1;
      resolve();
    };
    const patience = setTimeout(() => finish(socket.connecting ? 'no handshake' : 'silence'), PATIENCE_MS);
    const speak = setTimeout(() => socket.write('anybody?\r\n'), SPEAKS_MS);
    socket.on('error', error => finish(('code' in error && HOW[String(error.code)]) || error.message));
    socket.on('data', bytes => {
      heard += bytes.toString('latin1');
      if (!token.startsWith(heard)) finish('');
    });
    socket.on('end', () => finish('cut'));
  });
}

async function throughout(source: string, pauseMs: number): Promise<void> {
  while (!stopped) {
    await visit(source);
    await sleep(pauseMs);
  }
}

function tell(): void {
  process.stdout.write(`${JSON.stringify(ends)}\n`);
  ends = {};
}

const all = (does: (source: string) => Promise<void>): Promise<unknown> => Promise.all(sources.split(',').map(does));

createInterface({ input: process.stdin }).on('line', async line => {
  const [order, pauseMs] = line.split(' ');
  if (order === 'end') stopped = true;
  else if (order === 'visit') await all(visit).then(tell);
  else await all(source => throughout(source, Number(pauseMs))).then(tell);
});
