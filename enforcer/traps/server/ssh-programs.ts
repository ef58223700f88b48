/** What runs in a channel: a shell, a command, the receiving end of scp. All of it is pretence on protocols/shell.ts, bounded, and written down. */
import { command, LONGEST_PAYLOAD, type Observation, payload } from '../protocols/observation.ts';
import type { Shell } from '../protocols/shell.ts';

/** What a program says, a character for each byte. */
export interface Said {
  readonly out?: string;
  readonly errors?: string;
  readonly seen?: readonly Observation[];
  /** It ended, with this status. */
  readonly exit?: number;
}

export interface Program {
  start(): Said;
  input(text: string): Said;
  /** The client will send no more. */
  end(): Said;
}

const LONGEST_LINE = 1024;
const LONGEST_INPUT = 4 * LONGEST_LINE; // of a file name in scp, of a line without end
const COMMAND_NOT_FOUND = 127;

/** An interactive shell on a terminal: echoes, edits the line, prompts. */
export function createTerminal(shell: Shell, greeting: string): Program {
  let line = '';
  let afterCr = false;
  let sequence = '';

  function entered(): Said {
    const typed = line;
    line = '';
    if (typed.trim() === '') return { out: `\r\n${shell.prompt}` };
    const seen = [command(typed)];
    const said = shell.run(typed);
    if (said === undefined) return { out: '\r\nlogout\r\n', seen, exit: 0 };
    return { out: `\r\n${said}${shell.prompt}`, seen };
  }

  /** A key. */
  function pressed(key: string): Said {
    const secondOfEnd = afterCr && key === '\n';
    afterCr = key === '\r';
    if (secondOfEnd) return {};
    if (sequence !== '' || key === '\x1b') {
      sequence = sequence === '' || (sequence === '\x1b' && (key === '[' || key === 'O')) ? sequence + key : '';
      if (sequence.length > 1 && /[A-Za-z~]/.test(key) && key !== 'O') sequence = '';
      return {};
    }
    switch (key) {
      case '\r':
      case '\n':
        return entered();
      case '\x7f':
      case '\b': {
        const had = line !== '';
        line = line.slice(0, -1);
        return had ? { out: '\b \b' } : {};
      }
      case '\x03':
        line = '';
        return { out: `^C\r\n${shell.prompt}` };
      case '\x04':
        return line === '' ? { out: 'logout\r\n', exit: 0 } : {};
      case '\x15': {
        const erased = '\b \b'.repeat(line.length);
        line = '';
        return { out: erased };
      }
      default:
        if (key < ' ' || line.length >= LONGEST_LINE) return {};
        line += key;
        return { out: key };
    }
  }

  return {
    start: () => ({ out: `${greeting}${shell.prompt}` }),
    input: text => each(text, pressed),
    end: () => ({ out: 'logout\r\n', exit: 0 }),
  };
}

/** A shell that reads its commands from a pipe. */
export function createPipedShell(shell: Shell): Program {
  let waiting = '';
  let lines = 0;
  let status = 0;

  function ran(line: string): Said {
    lines++;
    if (line.trim() === '') return {};
    const seen = [command(line)];
    const said = shell.run(line);
    if (said === undefined) return { seen, exit: status };
    const answer = apart(said, `-bash: line ${lines}: `);
    status = answer.status;
    return { ...answer, seen };
  }

  return {
    start: () => ({}),
    input(text) {
      const parts = `${waiting}${text}`.split(/\r?\n/);
      waiting = (parts.pop() ?? '').slice(0, LONGEST_INPUT);
      return each(parts, ran);
    },
    end() {
      const last = waiting === '' ? {} : ran(waiting);
      return { ...last, exit: last.exit ?? status };
    },
  };
}

/** Programs that read what is sent to them before they end. */
const READS = /(?:^|[;&|]\s*)(?:cat\s*(?:-\s*)?(?:>|$)|(?:ba|da)?sh\s*(?:-s\b|-$|$)|tee\b|dd\b|base64\s+-d|python[23]?\s*-?\s*$|perl\s*-?\s*$|tar\s+-?x)/;

/** `ssh host command`. */
export function createCommand(shell: Shell, line: string, terminal: boolean): Program {
  const sink = /^(?:\/usr\/bin\/)?scp\b.*\s-[a-z]*([tf])\b/.exec(line);
  if (sink !== null) return sink[1] === 't' ? createScpSink(line) : noSuchFile(line);
  let content = '';
  let bytes = 0;

  function run(): Said & { readonly exit: number } {
    const said = shell.run(line.replace(/[\r\n]+/g, ';')) ?? '';
    const { out, errors, status } = apart(said, 'bash: line 1: ');
    return terminal ? { out: said.replace(/^-bash: /gm, 'bash: line 1: '), exit: status } : { out, errors, exit: status };
  }
  const given = (): readonly Observation[] => (bytes === 0 ? [] : [payload('stdin', content, bytes)]);

  return {
    start: () => (READS.test(line) ? { seen: [command(line)] } : { ...run(), seen: [command(line)] }),
    input(text) {
      bytes += text.length;
      if (content.length < LONGEST_PAYLOAD) content += text.slice(0, LONGEST_PAYLOAD - content.length);
      return terminal && text.includes('\x04') ? { seen: given(), exit: 0 } : {};
    },
    end: () => ({ ...run(), seen: given() }),
  };
}

function noSuchFile(line: string): Program {
  const path = line.slice(line.lastIndexOf(' ') + 1).slice(0, LONGEST_LINE);
  return {
    start: () => ({ out: `\x01scp: ${path}: No such file or directory\n`, seen: [command(line)], exit: 1 }),
    input: () => ({}),
    end: () => ({ exit: 1 }),
  };
}

/** What takes files that `scp file host:` sends: the protocol of rcp. */
function createScpSink(line: string): Program {
  const OK = '\0';
  let waiting = '';
  let file: { readonly name: string; content: string; readonly bytes: number; left: number } | undefined;

  /** The message or the part of a file at the front of what waits; `undefined`: there is none. */
  function next(): Said | undefined {
    if (file !== undefined) {
      const part = waiting.slice(0, file.left);
      if (file.content.length < LONGEST_PAYLOAD) file.content += part.slice(0, LONGEST_PAYLOAD - file.content.length);
      file.left -= part.length;
      waiting = waiting.slice(part.length);
      if (file.left > 0 || waiting === '') return undefined;
      const seen = [payload(file.name, file.content, file.bytes)];
      waiting = waiting.slice(1); // the sender's own status
      file = undefined;
      return { out: OK, seen };
    }
    const end = waiting.indexOf('\n');
    if (end < 0) return undefined;
    const message = waiting.slice(0, end);
    waiting = waiting.slice(end + 1);
    const started = /^C[0-7]{4} (\d{1,15}) (.+)$/.exec(message);
    if (started === null) return /^[TDE]/.test(message) ? { out: OK } : { out: '\x01scp: protocol error: unexpected message\n', exit: 1 };
    const bytes = Number(started[1]);
    file = { name: started[2] ?? '', content: '', bytes, left: bytes };
    return { out: OK };
  }

  return {
    start: () => ({ out: OK, seen: [command(line)] }),
    input(text) {
      waiting += text;
      let all: Said = {};
      for (let said = next(); said !== undefined && all.exit === undefined; said = next()) all = together(all, said);
      if (file === undefined && waiting.length > LONGEST_INPUT) return together(all, { exit: 1 });
      return all;
    },
    end: () => ({ exit: 0, ...(file === undefined ? {} : { seen: [payload(file.name, file.content, file.bytes - file.left)] }) }),
  };
}

/** What a shell's answer holds of output and of errors, told apart as bash would have done without a terminal. */
function apart(said: string, prefix: string): { readonly out: string; readonly errors: string; readonly status: number } {
  let out = '';
  let errors = '';
  let status = 0;
  for (const line of said.split('\r\n').slice(0, -1)) {
    const complaint = /^(-bash: |[a-z0-9]+: .*(?:No such file|not found))/.exec(line) !== null;
    status = complaint ? (line.includes('not found') ? COMMAND_NOT_FOUND : 1) : 0;
    if (complaint) errors += `${line.replace(/^-bash: /, prefix)}\n`;
    else out += `${line}\n`;
  }
  return { out, errors, status };
}

function each<T>(inputs: Iterable<T>, answer: (input: T) => Said): Said {
  let all: Said = {};
  for (const input of inputs) {
    all = together(all, answer(input));
    if (all.exit !== undefined) break;
  }
  return all;
}

function together(first: Said, second: Said): Said {
  return {
    out: `${first.out ?? ''}${second.out ?? ''}`,
    errors: `${first.errors ?? ''}${second.errors ?? ''}`,
    seen: [...(first.seen ?? []), ...(second.seen ?? [])],
    ...(second.exit === undefined ? {} : { exit: second.exit }),
  };
}
