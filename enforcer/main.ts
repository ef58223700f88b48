/** The entry of the command line: `enforcer/bin/honeymesh` starts it under the right Node. */
import { writeSync } from 'node:fs';
import { unixMs } from '@honeymesh/intel/time';
import { runCli } from './cli/program.ts';
import type { Terminal } from './cli/terminal.ts';
import { pathsOf } from './config/paths.ts';

const { stdin, stdout, stderr, env } = process;

// `honeymesh bans list | head`: who reads no more has what he wanted.
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    writeLastWord(`honeymesh: what was to be printed could not be written: ${error.message}\nfix: look at where the output goes\n`);
    process.exit(1);
  });
}

function writeLastWord(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // standard error may be what failed
  }
}

const terminal: Terminal = {
  write: text => void stdout.write(text),
  writeError: text => void stderr.write(text),
  stdin,
  interactive: stdin.isTTY === true,
  colours: stdout.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb',
};

function interrupted(): AbortSignal {
  const over = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => over.abort());
  return over.signal;
}

void runCli(process.argv.slice(2), { terminal, environment: env, now: () => unixMs(Date.now()), pathsOf, interrupted }).then(code => {
  process.exitCode = code;
});
