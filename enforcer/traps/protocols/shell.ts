/** What looks like a shell: it answers what scripts ask first, and runs nothing. */
import type { Persona } from './persona.ts';
import { factsOf } from './shell-facts.ts';
import { statementsOf } from './shell-line.ts';

export interface Shell {
  readonly greeting: string;
  readonly prompt: string;
  /** The output of a line, ended by CR LF where there is some; `undefined`: the session is over. Bounded; never throws. */
  run(line: string): string | undefined;
}

const LONGEST_ECHO = 512;
const MOST_OUTPUT = 16 * 1024;

/** What a program says, and whether it went well. */
interface Answer {
  readonly out: string;
  readonly failed: boolean;
}

const SILENT =
  /^(cd|export|unset|set|ulimit|umask|true|:|sleep|sync|trap|alias|history|stty|kill|killall|pkill|chmod|chattr|chown|mkdir|touch|rm|cp|mv|ln|iptables|passwd|chpasswd|crontab|service|systemctl|apt|apt-get|yum|dnf|nohup|wait|exec|source|\.|cat|tee|dd|ps|ls|sh|bash|lockr)(\s|$)/;
const GIVES_NOTHING: Answer = { out: '', failed: false };

export function createShell(persona: Persona, user: string): Shell {
  const root = user === 'root';
  const home = root ? '/root' : `/home/${user.replace(/[^a-z0-9._-]/gi, '')}`;
  const facts = factsOf(persona);
  const own = new Map(
    Object.entries({
      id: root ? 'uid=0(root) gid=0(root) groups=0(root)' : `uid=1000(${user}) gid=1000(${user}) groups=1000(${user})`,
      'id -u': root ? '0' : '1000',
      whoami: user,
      pwd: home,
    }),
  );

  /** A program that nothing is piped into. */
  function answer(line: string): Answer | undefined {
    const fact = own.get(line) ?? facts.get(line.replace(/^(?:\/usr)?\/s?bin\//, ''));
    if (fact !== undefined) return { out: `${fact}\n`, failed: false };
    const [program = ''] = line.split(' ', 1);
    if (program === 'exit' || program === 'logout') return undefined;
    if (program === 'false') return { out: '', failed: true };
    if (program === 'echo' || program === 'printf') return { out: echoed(program, line.slice(program.length + 1).slice(0, LONGEST_ECHO)), failed: false };
    const applet = /^(?:\/bin\/)?busybox (\S+)/.exec(line)?.[1];
    if (applet !== undefined) return { out: `${applet.slice(0, 64)}: applet not found\n`, failed: true };
    const file = /^(?:cat|ls)(?: -\S+)* (?=[^-])(.*)$/.exec(line)?.[1];
    if (file !== undefined && program === 'cat') return { out: `cat: ${file.slice(0, 256)}: No such file or directory\n`, failed: true };
    if (SILENT.test(line)) return GIVES_NOTHING;
    return { out: `-bash: ${program.slice(0, 128)}: command not found\n`, failed: true };
  }

  return {
    greeting: root ? '' : `Last login: from console\r\n`,
    prompt: root ? `root@${persona.hostName}:~# ` : `${user}@${persona.hostName}:~$ `,
    run(line) {
      let output = '';
      let failed = false;
      for (const { pipeline, silent, hidesErrors, after } of statementsOf(line)) {
        if ((after === 'success' && failed) || (after === 'failure' && !failed)) continue;
        const [first = '', ...filters] = pipeline;
        const said = first === '' ? GIVES_NOTHING : answer(first);
        if (said === undefined) return output === '' ? undefined : asOnTerminal(output);
        failed = said.failed && filters.length === 0;
        const shown = said.failed && hidesErrors ? '' : said.out;
        if (!silent) output = `${output}${filters.reduce(filtered, shown)}`.slice(0, MOST_OUTPUT);
      }
      return asOnTerminal(output);
    },
  };
}

const asOnTerminal = (output: string): string => output.replace(/\r?\n/g, '\r\n');

/** What a filter leaves of its input. One that is not known leaves all. */
function filtered(input: string, filter: string): string {
  const [program = '', ...args] = filter.split(' ');
  const lines = input === '' ? [] : input.replace(/\n$/, '').split('\n');
  const ended = (kept: readonly string[]): string => kept.map(line => `${line}\n`).join('');
  const count = Number(/-n?\s?(\d{1,4})/.exec(filter)?.[1] ?? 10);
  const word = args
    .filter(arg => !arg.startsWith('-'))
    .join(' ')
    .replace(/^(['"])(.*)\1$/, '$2');
  switch (program) {
    case 'grep':
    case 'egrep': {
      const ignores = args.some(arg => /^-\w*i/.test(arg));
      const inverts = args.some(arg => /^-\w*v/.test(arg));
      const has = (line: string): boolean => (ignores ? line.toLowerCase().includes(word.toLowerCase()) : line.includes(word));
      const kept = lines.filter(line => has(line) !== inverts);
      return args.some(arg => /^-\w*c/.test(arg)) ? `${kept.length}\n` : ended(kept);
    }
    case 'wc':
      return args.includes('-l') ? `${lines.length}\n` : `${lines.length} ${input.split(/\s+/).length - 1} ${input.length}\n`;
    case 'head':
      return ended(lines.slice(0, count));
    case 'tail':
      return ended(lines.slice(-count));
    case 'sort':
      return ended([...lines].sort());
    case 'uniq':
      return ended(lines.filter((line, at) => line !== lines[at - 1]));
    case 'awk': {
      const fields = [...filter.matchAll(/\$(\d{1,2})/g)].map(([, field]) => Number(field));
      return ended(lines.map(line => fields.map(field => line.trim().split(/\s+/)[field - 1] ?? '').join(' ')));
    }
    case 'sh':
    case 'bash':
    case 'tee':
    case 'chpasswd':
    case 'passwd':
    case 'crontab':
      return '';
    default:
      return input;
  }
}

/** Scripts ask by `echo -e "\x67\x61"` whether a shell is one. */
function echoed(program: string, argument: string): string {
  const escaped = program === 'printf' || /^-n?e\s+/.test(argument);
  const ends = program === 'echo' && !/^-n/.test(argument);
  const text = argument.replace(/^-n?e?\s+/, '').replace(/^(['"])(.*)\1$/, '$2');
  const meant = escaped ? text.replace(/\\x([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))).replace(/\\n/g, '\n') : text;
  return `${meant}${ends ? '\n' : ''}`;
}
