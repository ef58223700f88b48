/** POP3 (RFC 1939, 2449) and IMAP (RFC 3501) of a Dovecot: takes log-ins, opens no mailbox. */
import { awaitClientHello } from './client-hello-wait.ts';
import { bytesOf, firstLine, fromBase64, verbOf } from './lines.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { command, credentials } from './observation.ts';

const LONGEST_COMMAND = 8192;
const TRIES = 3;

const vendorOf = ({ persona }: TrapContext): string => (persona.release.family === 'rhel' ? '' : ` (${persona.release.vendor})`);

/** The machine of one POP3 connection. */
export function createPop3Trap(context: TrapContext): TrapMachine {
  let user: string | undefined;
  let expecting: 'command' | 'plain' | 'client-hello' = 'command';
  let secure = false;
  let tries = 0;
  const say = (text: string, more: Omit<Step, 'used' | 'send'> = {}): Omit<Step, 'used'> => ({ send: bytesOf(text), ...more });

  function tried(name: string, secret: string): Omit<Step, 'used'> {
    expecting = 'command';
    user = undefined;
    tries++;
    return say('-ERR [AUTH] Authentication failed.\r\n', { observations: [credentials(name, secret)], close: tries >= TRIES });
  }

  function triedPlain(encoded: string): Omit<Step, 'used'> {
    const [, name = '', secret = ''] = fromBase64(encoded).split('\0');
    return tried(name, secret);
  }

  function answer(line: string): Omit<Step, 'used'> {
    const { verb, rest } = verbOf(line);
    const offersTls = context.tls && !secure;
    switch (verb) {
      case 'CAPA':
        return say(`+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n${offersTls ? 'STLS\r\n' : ''}USER\r\nSASL PLAIN\r\n.\r\n`, {
          observations: [command(line)],
        });
      case 'USER':
        user = rest.slice(0, 256);
        return say('+OK\r\n');
      case 'PASS':
        return user === undefined ? say('-ERR No username given.\r\n') : tried(user, line.slice(5));
      case 'APOP': {
        const [name = '', digest = ''] = rest.split(' ');
        tries++;
        return say('-ERR [AUTH] Authentication failed.\r\n', { observations: [credentials(name, digest, 'apop')], close: tries >= TRIES });
      }
      case 'AUTH': {
        const [mechanism = '', initial = ''] = rest.split(' ');
        if (mechanism.toUpperCase() !== 'PLAIN') return say('-ERR [AUTH] Unsupported authentication mechanism.\r\n');
        if (initial !== '') return triedPlain(initial);
        expecting = 'plain';
        return say('+ \r\n');
      }
      case 'STLS':
        if (!offersTls) return say("-ERR TLS support isn't enabled.\r\n");
        expecting = 'client-hello';
        return say('+OK Begin TLS negotiation now.\r\n');
      case 'QUIT':
        return say('+OK Logging out\r\n', { close: true });
      default:
        return say('-ERR Unknown command.\r\n', { observations: line === '' ? [] : [command(line)] });
    }
  }

  return createMachine(
    {
      protocol: 'pop3',
      longestMessage: LONGEST_COMMAND,
      greet: () => ({ used: 0, send: bytesOf(`+OK Dovecot${vendorOf(context)} ready.\r\n`) }),
      next(waiting) {
        if (expecting === 'client-hello') return awaitClientHello(waiting);
        const line = firstLine(waiting);
        if (line === undefined) return MORE;
        return { used: line.used, ...(expecting === 'plain' ? triedPlain(line.text) : answer(line.text)) };
      },
      secured() {
        secure = true;
        expecting = 'command';
        return MORE;
      },
    },
    context.limits,
  );
}

/** The machine of one IMAP connection. */
export function createImapTrap(context: TrapContext): TrapMachine {
  let expecting: 'command' | 'plain' | 'literal' | 'client-hello' = 'command';
  let secure = false;
  let tries = 0;
  let tag = '';
  let unfinished = '';
  let literalBytes = 0;

  const capabilities = (): string => `IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+${context.tls && !secure ? ' STARTTLS' : ''} AUTH=PLAIN`;
  const say = (text: string, more: Omit<Step, 'used' | 'send'> = {}): Omit<Step, 'used'> => ({ send: bytesOf(text), ...more });

  function tried(name: string, secret: string): Omit<Step, 'used'> {
    tries++;
    expecting = 'command';
    return say(`${tag} NO [AUTHENTICATIONFAILED] Authentication failed.\r\n`, { observations: [credentials(name, secret)], close: tries >= TRIES });
  }

  function triedPlain(encoded: string): Omit<Step, 'used'> {
    const [, name = '', secret = ''] = fromBase64(encoded).split('\0');
    return tried(name, secret);
  }

  function answer(line: string): Omit<Step, 'used'> {
    const space = line.indexOf(' ');
    tag = (space < 0 ? line : line.slice(0, space)).slice(0, 64);
    const { verb, rest } = verbOf(space < 0 ? '' : line.slice(space + 1));
    const seen = verb === 'LOGIN' || verb === 'AUTHENTICATE' || line === '' ? [] : [command(line)];
    switch (verb) {
      case 'CAPABILITY':
        return say(`* CAPABILITY ${capabilities()}\r\n${tag} OK Pre-login capabilities listed, post-login capabilities have more.\r\n`, { observations: seen });
      case 'NOOP':
        return say(`${tag} OK NOOP completed.\r\n`, { observations: seen });
      case 'ID':
        return say(`* ID ("name" "Dovecot")\r\n${tag} OK ID completed.\r\n`, { observations: seen });
      case 'LOGIN': {
        const [name = '', secret = ''] = words(rest);
        return tried(name, secret);
      }
      case 'AUTHENTICATE': {
        const [mechanism = '', initial = ''] = rest.split(' ');
        if (mechanism.toUpperCase() !== 'PLAIN') return say(`${tag} NO [CANNOT] Unsupported authentication mechanism.\r\n`);
        if (initial !== '') return triedPlain(initial);
        expecting = 'plain';
        return say('+ \r\n');
      }
      case 'STARTTLS':
        if (!context.tls || secure) return say(`${tag} BAD TLS support isn't enabled.\r\n`, { observations: seen });
        expecting = 'client-hello';
        return say(`${tag} OK Begin TLS negotiation now.\r\n`, { observations: seen });
      case 'LOGOUT':
        return say(`* BYE Logging out\r\n${tag} OK Logout completed.\r\n`, { observations: seen, close: true });
      default:
        return say(`${space < 0 ? '*' : tag} BAD Error in IMAP command received by server.\r\n`, { observations: seen });
    }
  }

  /** A line that ends in `{12}` goes on after twelve bytes (RFC 3501, 4.3): they are taken as a quoted word. */
  function complete(text: string): Omit<Step, 'used'> {
    const literal = /\{(\d{1,4})(\+?)\}$/.exec(text);
    if (literal === null) {
      const line = unfinished + text;
      unfinished = '';
      return answer(line);
    }
    if (unfinished.length > LONGEST_COMMAND) return { close: true };
    unfinished += text.slice(0, literal.index);
    literalBytes = Number(literal[1]);
    expecting = 'literal';
    return literal[2] === '+' ? {} : say('+ OK\r\n');
  }

  return createMachine(
    {
      protocol: 'imap',
      longestMessage: LONGEST_COMMAND + 4096,
      greet: () => ({ used: 0, send: bytesOf(`* OK [CAPABILITY ${capabilities()}] Dovecot${vendorOf(context)} ready.\r\n`) }),
      next(waiting) {
        if (expecting === 'client-hello') return awaitClientHello(waiting);
        if (expecting === 'literal') {
          if (waiting.length < literalBytes) return MORE;
          unfinished += `"${waiting.toString('latin1', 0, literalBytes).replace(/["\\]/g, '\\$&')}"`;
          expecting = 'command';
          if (literalBytes > 0) return { used: literalBytes, unfinished: true };
        }
        const line = firstLine(waiting);
        if (line === undefined) return MORE;
        return { used: line.used, ...(expecting === 'plain' ? triedPlain(line.text) : complete(line.text)) };
      },
      secured() {
        secure = true;
        expecting = 'command';
        return MORE;
      },
    },
    context.limits,
  );
}

/** Atoms and quoted strings. */
function words(text: string): readonly string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].slice(0, 8).map(([, quoted, atom]) => quoted?.replace(/\\(.)/g, '$1') ?? atom ?? '');
}
