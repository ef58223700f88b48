/**
 * The least that Node can do: answers as the mix of the benches asks for, and writes a line for each connection. Arguments: the log's path, and `timer` for a
 * timer for each connection, as a trap with deadlines needs it.
 */
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:net';

const [, , path, timer] = process.argv;
const DEADLINE_MS = 600_000;
const log = createWriteStream(path, { flags: 'a' });
const page = '<html><body>It works!</body></html>';
const http = `HTTP/1.1 200 OK\r\nContent-Length: ${page.length}\r\nContent-Type: text/html\r\n\r\n${page}`;

/** By port: what is said at once, and what is answered to the first, the second ... of what is received. */
const SERVICES = {
  21: { greeting: '220 ready\r\n', answers: ['331 password, please\r\n', '530 no\r\n'] },
  22: { greeting: 'SSH-2.0-OpenSSH_9.2p1\r\n', answers: [] },
  80: { greeting: '', answers: [http] },
  6379: { greeting: '', answers: ['+PONG\r\n'] },
};

let listening = 0;
for (const [port, { greeting, answers }] of Object.entries(SERVICES)) {
  const server = createServer({ noDelay: true }, socket => {
    let received = 0;
    const deadline = timer === 'timer' ? setTimeout(() => socket.destroy(), DEADLINE_MS) : undefined;
    if (greeting !== '') socket.write(greeting);
    socket.on('data', () => {
      const answer = answers[received++];
      if (answer !== undefined) socket.write(answer);
    });
    socket.on('error', () => {});
    const { remoteAddress, remotePort } = socket;
    socket.on('close', () => {
      clearTimeout(deadline);
      log.write(`${JSON.stringify({ at: Date.now(), source: remoteAddress, sourcePort: remotePort, port: Number(port), received })}\n`);
    });
  });
  server.listen({ port: Number(port), host: '0.0.0.0', backlog: 4096 }, () => {
    if (++listening === Object.keys(SERVICES).length) console.log('ready');
  });
}
