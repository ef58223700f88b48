/** Asks for a passphrase on this process's terminal and writes what was typed to a file: `ask-passphrase.ts FILE FRESH`. */
import { writeFileSync } from 'node:fs';
import { unixMs } from '@honeymesh/intel/time';
import { exitCodeOf, failureText } from '#enforcer/cli/failures.ts';
import { readPassphrase } from '#enforcer/cli/passphrase.ts';
import { pathsOf } from '#enforcer/config/paths.ts';

const [, , file = '', fresh] = process.argv;

const context = {
  terminal: {
    write: (text: string) => void process.stdout.write(text),
    writeError: (text: string) => void process.stderr.write(text),
    stdin: process.stdin,
    interactive: process.stdin.isTTY === true,
    colours: false,
  },
  environment: {},
  now: () => unixMs(0),
  pathsOf,
  interrupted: () => new AbortController().signal,
  exitWith: () => {},
};

readPassphrase({ file: undefined, fresh: fresh === 'true' }, context).then(
  passphrase => writeFileSync(file, passphrase),
  (error: unknown) => {
    process.stderr.write(failureText(error));
    process.exitCode = exitCodeOf(error);
  },
);
