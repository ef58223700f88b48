/**
 * A program: a real service that is started and stopped by order. `restarted-service.ts PORT TOKEN`
 * `up` listens, as a service does that is started anew (SO_REUSEADDR), and says each visitor the token; `down` stops at once and cuts off who is there.
 * Answers each line with `up`, `down` or the code of what went wrong.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [port = '', token = ''] = process.argv.slice(2);
const visitors = new Set<Socket>();
let server: Server | undefined;

function up(): void {
  const started = createServer(visitor => {
    visitors.add(visitor);
    visitor.on('error', () => {}).on('close', () => visitors.delete(visitor));
    visitor.end(token);
  });
  started.on('error', error => say('code' in error ? String(error.code) : error.message));
  started.listen({ port: Number(port), host: '::', backlog: 512 }, () => {
    server = started;
    say('up');
  });
}

function down(): void {
  for (const visitor of visitors) visitor.resetAndDestroy();
  server?.close(() => say('down'));
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

createInterface({ input: process.stdin }).on('line', order => (order === 'up' ? up() : down()));
