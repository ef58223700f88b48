/** What looks like a shell: it answers what scripts ask first, and runs nothing. */
import type { Persona } from './persona.ts';

export interface Shell {
  readonly greeting: string;
  readonly prompt: string;
  /** The output of a line, ended by CR LF where there is some; `undefined`: the session is over. Bounded; never throws. */
  run(line: string): string | undefined;
}

const MOST_COMMANDS = 16; // of one line
const LONGEST_ECHO = 512;

export function createShell(persona: Persona, user: string): Shell {
  const root = user === 'root';
  const home = root ? '/root' : `/home/${user.replace(/[^a-z0-9._-]/gi, '')}`;
  const { kernel, kernelBuild, name } = persona.release;
  const uname = `Linux ${persona.hostName} ${kernel} ${kernelBuild} x86_64 GNU/Linux`;
  const facts = new Map(
    Object.entries({
      id: root ? 'uid=0(root) gid=0(root) groups=0(root)' : `uid=1000(${user}) gid=1000(${user}) groups=1000(${user})`,
      whoami: user,
      hostname: persona.hostName,
      pwd: home,
      'uname -a': uname,
      uname: 'Linux',
      'uname -r': kernel,
      'uname -m': 'x86_64',
      'uname -s -v -n -r -m': `Linux ${persona.hostName} ${kernel} ${kernelBuild} x86_64`,
      nproc: String(persona.pick('processors', [1, 2, 4])),
      'cat /proc/version': `Linux version ${kernel} ${kernelBuild}`,
      'cat /etc/os-release': `PRETTY_NAME="${name}"`,
      'cat /etc/issue': `${name.replace(/ \(.*/, '')} \\n \\l`,
      tty: '/dev/pts/0',
    }),
  );
  const SILENT = /^(cd|export|unset|set|ulimit|umask|true|:|sleep|sync|trap|alias|history|stty|kill|killall|pkill|chmod|mkdir|touch|rm|cp|mv|iptables)(\s|$)/;

  function one(text: string): string | undefined {
    const line = text.trim().replace(/\s+/g, ' ');
    if (line === '') return '';
    const fact = facts.get(line.replace(/ ?2?>\/dev\/null$/, ''));
    if (fact !== undefined) return `${fact}\r\n`;
    const [program = ''] = line.split(' ', 1);
    if (program === 'exit' || program === 'logout') return undefined;
    if (program === 'echo') return `${echoed(line.slice(5).slice(0, LONGEST_ECHO))}\r\n`;
    const applet = /^(?:\/bin\/)?busybox (\S+)/.exec(line)?.[1];
    if (applet !== undefined) return `${applet.slice(0, 64)}: applet not found\r\n`;
    if (SILENT.test(line)) return '';
    if (program === 'ls' || program === 'w' || program === 'ps' || program === 'sh' || program === 'bash') return '';
    if (program === 'cat') return `cat: ${line.slice(4, 260)}: No such file or directory\r\n`;
    return `-bash: ${program.slice(0, 128)}: command not found\r\n`;
  }

  return {
    greeting: root ? '' : `Last login: from console\r\n`,
    prompt: root ? `root@${persona.hostName}:~# ` : `${user}@${persona.hostName}:~$ `,
    run(line) {
      let output = '';
      for (const part of line.split(/;|&&|\|\|/, MOST_COMMANDS)) {
        const said = one(part);
        if (said === undefined) return output === '' ? undefined : `${output}`;
        output += said;
      }
      return output;
    },
  };
}

/** Scripts ask by `echo -e "\x67\x61"` whether a shell is one. */
function echoed(argument: string): string {
  const escaped = /^-n?e\s+/.test(argument);
  const text = argument.replace(/^-n?e?\s+/, '').replace(/^(['"])(.*)\1$/, '$2');
  return escaped ? text.replace(/\\x([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) : text;
}
