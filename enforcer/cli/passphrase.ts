/** The passphrase of a root file: from a file, the environment, or typed on a terminal that does not show it. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Context } from './context.ts';
import { usage } from './failures.ts';

export const PASSPHRASE_VARIABLE = 'HONEYMESH_ROOT_PASSPHRASE';

const LONGEST = 1_024;
const SHORTEST_NEW = 8;

export interface PassphraseOrder {
  readonly file: string | undefined;
  /** Asked twice, and not too short: nobody could open the file any more, or anybody. */
  readonly fresh: boolean;
}

/** Never empty. Throws HM_USAGE where there is none, or two that differ. */
export async function readPassphrase({ file, fresh }: PassphraseOrder, context: Context): Promise<string> {
  const given = file === undefined ? context.environment[PASSPHRASE_VARIABLE] : await firstLine(file);
  const passphrase = given ?? (await typed(fresh, context));
  if (passphrase === '') throw usage('the passphrase is empty', 'whoever has the root can certify registrars: give it one that nobody guesses');
  if (passphrase.length > LONGEST) throw usage('the passphrase is too long', `at most ${LONGEST} characters`);
  if (fresh && [...passphrase].length < SHORTEST_NEW)
    throw usage('the passphrase is too short', `give at least ${SHORTEST_NEW} characters; several words are good`);
  return passphrase;
}

async function firstLine(path: string): Promise<string> {
  try {
    const [line = ''] = (await readFile(path, 'utf8')).split(/\r?\n/);
    return line;
  } catch (error) {
    throw usage(
      `--passphrase-file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      'name a file whose first line is the passphrase',
    );
  }
}

async function typed(twice: boolean, context: Context): Promise<string> {
  if (!context.terminal.interactive) {
    throw usage('there is no terminal to ask for the passphrase on', `give --passphrase-file FILE, or set ${PASSPHRASE_VARIABLE}`);
  }
  const first = await ask('Passphrase of the root: ', context);
  if (twice && first !== '' && (await ask('The same again: ', context)) !== first) throw usage('the two passphrases differ', 'type it again');
  return first;
}

/** Node's line editor in terminal mode keeps the terminal from showing what is typed; it writes into nothing. */
function ask(question: string, { terminal }: Context): Promise<string> {
  terminal.writeError(question);
  return new Promise((resolve, reject) => {
    const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
    const reader = createInterface({ input: terminal.stdin, output: unseen, terminal: true });
    let line: string | null = null;
    reader.once('line', text => {
      line = text;
      reader.close();
    });
    reader.once('SIGINT', () => reader.close());
    reader.once('close', () => {
      terminal.writeError('\n');
      if (line === null) reject(usage('no passphrase was given', `type one, or give --passphrase-file FILE, or set ${PASSPHRASE_VARIABLE}`));
      else resolve(line);
    });
  });
}
