/** Telnet (RFC 854): the log-in of a Linux host. One weak pair of the persona gets in, as on a neglected host, to a shell that runs nothing. */
import { bytesOf, textOf } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, type Step } from './machine-talk.ts';
import { command, credentials } from './observation.ts';
import { createShell, type Shell } from './shell.ts';

const IAC = 255;
const DONT = 254;
const DO = 253;
const WONT = 252;
const WILL = 251;
const SB = 250;
const SE = 240;
const ECHO = 1;
const SUPPRESS_GO_AHEAD = 3;
const STATUS = 5;
const TERMINAL_TYPE = 24;
const WINDOW_SIZE = 31;
const TERMINAL_SPEED = 32;
const FLOW_CONTROL = 33;
const X_DISPLAY = 35;
const NEW_ENVIRONMENT = 39;

/** What telnetd of Linux asks first (nmap knows it by these); the prompt follows once all of it is answered, or the peer just types. */
const FIRST_ASKED = [TERMINAL_TYPE, TERMINAL_SPEED, X_DISPLAY, NEW_ENVIRONMENT] as const;
const FIRST = Buffer.from(FIRST_ASKED.flatMap(option => [IAC, DO, option]));
const SECOND = Buffer.from([IAC, WILL, SUPPRESS_GO_AHEAD, IAC, DO, WINDOW_SIZE, IAC, DO, FLOW_CONTROL, IAC, WILL, STATUS, IAC, WILL, ECHO]);

const LONGEST_TYPED = 1024;
const LONGEST_SUBNEGOTIATION = 512;
const TRIES = 5; // LOGIN_RETRIES in Debian's /etc/login.defs

type Asking = 'options' | 'user' | 'secret' | 'shell';

/** The machine of one connection. */
export function createTelnetTrap(context: TrapContext): TrapMachine {
  const { persona } = context;
  const prompt = `${persona.hostName} login: `;
  const banner =
    persona.release.family === 'rhel' ? `\r\nKernel ${persona.release.kernel} on an x86_64\r\n` : `${persona.release.name.replace(/ \(.*/, '')}\r\n`;
  let asking: Asking = 'options';
  let answers = 0;
  let typed = '';
  let user = '';
  let tries = 0;
  let justRefused = false;
  let shell: Shell | undefined;
  let afterCr = false;

  function entered(line: string): Omit<Step, 'used' | 'unfinished'> {
    switch (asking) {
      case 'options':
      case 'user':
        // hydra sends an empty line after each pair and takes the prompt that answers it for a refusal of the next one: so there is none.
        if (line === '') {
          const typedAhead = justRefused;
          justRefused = false;
          return typedAhead ? {} : { send: bytesOf(`\r\n${prompt}`) };
        }
        user = line;
        justRefused = false;
        asking = 'secret';
        return { send: bytesOf('\r\nPassword: ') };
      case 'secret': {
        const seen: Observation[] = [credentials(user, line)];
        if (user === persona.weakLogin.user && line === persona.weakLogin.secret) {
          shell = createShell(persona, user);
          asking = 'shell';
          return { send: bytesOf(`\r\n${shell.greeting}${shell.prompt}`), observations: seen };
        }
        tries++;
        if (tries >= TRIES) return { send: bytesOf(`\r\nMaximum number of tries exceeded (${TRIES})\r\n`), observations: seen, close: true };
        asking = 'user';
        justRefused = true;
        return { send: bytesOf(`\r\nLogin incorrect\r\n${prompt}`), observations: seen };
      }
      case 'shell': {
        const said = shell?.run(line);
        const seen = line.trim() === '' ? [] : [command(line)];
        if (said === undefined) return { observations: seen, send: bytesOf('\r\nlogout\r\n'), close: true };
        return { observations: seen, send: bytesOf(`\r\n${said}${shell?.prompt ?? ''}`) };
      }
    }
  }

  /** The command at the front of `waiting`, which starts with IAC. 0: not all of it is there. */
  function negotiated(waiting: Buffer): number {
    const verb = waiting[1];
    if (verb === undefined) return 0;
    if (verb === SB) {
      const end = waiting.indexOf(Buffer.of(IAC, SE));
      if (end >= 0) return end + 2;
      return waiting.length > LONGEST_SUBNEGOTIATION ? waiting.length : 0;
    }
    if (verb < WILL || verb > DONT) return 2;
    if (waiting.length < 3) return 0;
    if ((verb === WILL || verb === WONT) && FIRST_ASKED.includes(waiting[2] as (typeof FIRST_ASKED)[number])) answers++;
    return 3;
  }

  /** Takes what was typed up to the end of the line, and echoes it where telnetd would. */
  function typedIn(waiting: Buffer): Step {
    let used = 0;
    let echo = '';
    for (const byte of waiting) {
      if (byte === IAC) break;
      used++;
      const secondOfEnd = afterCr && (byte === 0x0a || byte === 0);
      afterCr = byte === 0x0d;
      if (secondOfEnd || byte === 0) continue;
      if (byte === 0x0d || byte === 0x0a) {
        const line = typed;
        typed = '';
        const step = entered(line);
        return { used, ...step, send: Buffer.concat([bytesOf(echo), step.send ?? Buffer.alloc(0)]) };
      }
      if (byte === 0x7f || byte === 0x08) {
        if (typed !== '' && asking !== 'secret') echo += '\b \b';
        typed = typed.slice(0, -1);
      } else if (typed.length < LONGEST_TYPED) {
        const character = String.fromCharCode(byte);
        typed += character;
        if (asking !== 'secret') echo += character;
      }
    }
    return { used, unfinished: true, send: bytesOf(echo) };
  }

  return createMachine(
    {
      protocol: 'telnet',
      longestMessage: LONGEST_TYPED,
      greet: () => ({ used: 0, send: FIRST }),
      next(waiting) {
        const opening = asking === 'options' ? Buffer.concat([SECOND, bytesOf(`${banner}${prompt}`)]) : undefined;
        if (waiting[0] === IAC && waiting[1] !== IAC) {
          const used = negotiated(waiting);
          if (opening === undefined || answers < FIRST_ASKED.length) return { used, unfinished: true };
          asking = 'user';
          return { used, send: opening };
        }
        if (waiting[0] === IAC) {
          if (typed.length < LONGEST_TYPED) typed += textOf(waiting.subarray(0, 1));
          return { used: 2, unfinished: true };
        }
        if (opening === undefined) return typedIn(waiting);
        asking = 'user';
        const step = typedIn(waiting);
        return { ...step, send: Buffer.concat([opening, step.send ?? Buffer.alloc(0)]) };
      },
    },
    context.limits,
  );
}
