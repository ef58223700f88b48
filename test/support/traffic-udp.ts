/**
 * A program: datagrams at a steady rate from one source. `traffic-udp.ts SOURCE HOST PORT BYTES PER_SECOND FOR_MS`
 * Prints `{"sent":n,"heard":n}`: what was sent and how much of it was answered.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const [source = '', host = '', port = '', bytes = '', perSecond = '', forMs = ''] = process.argv.slice(2);
const TURN_MS = 10;
const LAST_ANSWER_MS = 300;

const socket = createSocket(source.includes(':') ? 'udp6' : 'udp4');
let sent = 0;
let heard = 0;
socket.on('message', () => heard++);
socket.on('error', () => {}); // an ICMP error is no answer
socket.bind({ address: source, port: 0 });
await once(socket, 'listening');

const payload = Buffer.alloc(Number(bytes), 0x45);
const total = Math.round((Number(forMs) * Number(perSecond)) / 1_000);
for (const startedMs = performance.now(); sent < total; await sleep(TURN_MS)) {
  const due = Math.min(total, Math.floor(((performance.now() - startedMs) * Number(perSecond)) / 1_000) + 1);
  for (; sent < due; sent++) socket.send(payload, Number(port), host);
}
await sleep(LAST_ANSWER_MS);
process.stdout.write(`${JSON.stringify({ sent, heard })}\n`);
process.exit(0);
