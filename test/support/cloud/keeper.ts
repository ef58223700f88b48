/**
 * `node keeper.ts COMMAND ARGUMENT ...` runs an emulator and ends all of it when its own stdin closes: whoever started it may be killed at any moment, and
 * nothing may stay behind. An emulator starts processes in sessions of their own (Java, a Node for each Lambda), so neither a group nor a parent
 * names them all: they are known by a mark that they inherit in the environment.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const MARK = 'HONEYMESH_EMULATOR';
/** LocalStack tidies up for 5 to 8 s; all that it would save is in a folder that goes away. */
const GRACE_MS = 1_000;

const [command, ...args] = process.argv.slice(2);
const mark = process.env[MARK];
if (command === undefined || mark === undefined) throw new Error(`usage: ${MARK}=UNIQUE keeper.ts COMMAND ARGUMENT ...`);

const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
child.once('error', error => {
  console.error(error.message);
  end(127);
});
child.once('exit', code => end(code ?? 1));

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
process.stdin.on('end', stop).on('close', stop).resume();

let stopping = false;
function stop(): void {
  if (stopping) return;
  stopping = true;
  child.kill('SIGTERM');
  setTimeout(() => end(0), GRACE_MS);
}

function end(code: number): void {
  // A process that is being killed may just have started another: look until there is none.
  for (let round = 0; round < 20; round++) {
    const left = marked();
    if (left.length === 0) break;
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it went by itself
      }
    }
  }
  process.exit(code);
}

/** Living processes with our mark, but for ourselves. A zombie's environment is empty, so it does not count. */
function marked(): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${MARK}=${mark}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}
