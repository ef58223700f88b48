/**
 * A program: an ordinary client of a real service. `traffic-client.ts SOURCE HOST PORT,... EVERY_MS FOR_MS PATIENCE_MS`
 * A short connection every so often, to its ports in turn: connect, be greeted, be echoed, close. Prints `{"tried":n,"served":n,"why":[...]}` at the end.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [source = '', host = '', portList = '', everyMs = '', forMs = '', patienceMs = ''] = process.argv.slice(2);
const ports = portList.split(',').map(Number);

const why = new Set<string>();
let tried = 0;
let served = 0;
const visits: Promise<void>[] = [];

function visit(): Promise<void> {
  return new Promise(resolve => {
    let heard = '';
    const socket = connect({ host, port: ports[tried % ports.length] ?? 0, localAddress: source });
    const end = (reason: string): void => {
      clearTimeout(deadline);
      if (reason === 'served') served++;
      else why.add(reason);
      socket.destroy();
      resolve();
    };
    const deadline = setTimeout(() => end(`no answer after ${heard.length} bytes`), Number(patienceMs));
    socket.on('error', error => end(error.message));
    socket.on('data', chunk => {
      heard += String(chunk);
      if (heard === 'real') socket.write('hello');
      if (heard === 'realhello') end('served');
    });
  });
}

for (const startedMs = performance.now(); performance.now() - startedMs < Number(forMs); await sleep(Number(everyMs))) {
  visits.push(visit());
  tried++;
}
await Promise.all(visits);
process.stdout.write(`${JSON.stringify({ tried, served, why: [...why] })}\n`);
process.exit(0);
