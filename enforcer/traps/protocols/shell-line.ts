/** A command line, taken apart as far as a shell that runs nothing needs it. Bounded; never throws. */

export interface Statement {
  /** The programs of a pipeline, each trimmed and without redirections. */
  readonly pipeline: readonly string[];
  /** Where its output goes to a file, nothing is shown of it. */
  readonly silent: boolean;
  /** What its first program complains of is not shown. */
  readonly hidesErrors: boolean;
  /** It runs only if the one before it went well (&&) or did not (||). */
  readonly after: 'any' | 'success' | 'failure';
}

const MOST_STATEMENTS = 16;
const MOST_PROGRAMS = 8;

/** `line` is hostile. Quotes and backslashes keep what stands in them together. */
export function statementsOf(line: string): readonly Statement[] {
  const statements: Statement[] = [];
  let after: Statement['after'] = 'any';
  let programs: string[] = [];
  let current = '';
  let quote = '';

  function ended(next: Statement['after']): void {
    programs.push(current);
    const shown = programs.map(withoutRedirections);
    if (shown.some(({ text }) => text !== '') || shown.some(({ silent }) => silent)) {
      statements.push({
        pipeline: shown.slice(0, MOST_PROGRAMS).map(({ text }) => text),
        silent: shown.at(-1)?.silent === true,
        hidesErrors: shown[0]?.hidesErrors === true,
        after,
      });
    }
    programs = [];
    current = '';
    after = next;
  }

  for (let at = 0; at < line.length && statements.length < MOST_STATEMENTS; at++) {
    const character = line[at] ?? '';
    const pair = line.slice(at, at + 2);
    if (character === '\\' && quote !== "'") {
      current += pair;
      at++;
    } else if (quote !== '') {
      current += character;
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") {
      current += character;
      quote = character;
    } else if (pair === '&&' || pair === '||') {
      ended(pair === '&&' ? 'success' : 'failure');
      at++;
    } else if (character === ';' || character === '\n' || (character === '&' && line[at - 1] !== '>' && line[at + 1] !== '>')) ended('any');
    else if (character === '|') {
      if (programs.length < MOST_PROGRAMS) programs.push(current);
      current = '';
    } else current += character;
  }
  if (statements.length < MOST_STATEMENTS) ended('any');
  return statements;
}

/** What is written to a file, or from one, is none of the arguments. A `>` in quotes would be: scripts do not print such. */
function withoutRedirections(program: string): { readonly text: string; readonly silent: boolean; readonly hidesErrors: boolean } {
  const output = /(?:^|\s)(?:1|&)?>>?\s*(?!&)\S+/;
  const spaced = program.replace(/\s+/g, ' '); // first, or the expressions below would try each of a thousand spaces
  const text = spaced
    .replace(/\s*[012]?>&[012-]/g, '')
    .replace(/\s*2>>?\s*\S+/g, '')
    .replace(/\s*<\s*\S+/g, '');
  const silent = output.test(text);
  const hidesErrors = /\s(?:2>>?|&>>?)\s*[^&\s]/.test(` ${spaced}`);
  return {
    text: text
      .replace(/\s*(?:1|&)?>>?\s*\S+/g, '')
      .trim()
      .replace(/\s+/g, ' '),
    silent,
    hidesErrors,
  };
}
