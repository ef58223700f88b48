/** SMTP (RFC 5321, 3207, 4954): logs who tries to log in, and keeps the beginning of mail for this host. Nothing is ever delivered or relayed. */

import { awaitClientHello } from './client-hello-wait.ts';
import { bytesOf, firstLine, fromBase64, toHex, verbOf } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { command, credentials, LONGEST_PAYLOAD, malformed, payload } from './observation.ts';
import { createDialect, type Dialect } from './smtp-dialects.ts';

const LONGEST_COMMAND = 8192;
const MOST_UNKNOWN = 10; // postfix hangs up after smtpd_hard_error_limit, 20; a scanner shows itself earlier

/** What the next line is: a command, or the answer to a challenge of AUTH. */
type Expecting = 'command' | 'login-user' | 'login-secret' | 'plain' | 'cram-md5' | 'mail' | 'client-hello';

/** The machine of one connection. */
export function createSmtpTrap(context: TrapContext): TrapMachine {
  const dialect: Dialect = createDialect(context);
  let expecting: Expecting = 'command';
  let user = '';
  let hello = false;
  let from = false;
  let recipients = 0;
  let unknown = 0;
  let secure = false;
  let mail = '';
  let mailBytes = 0;

  const reset = (): void => {
    from = false;
    recipients = 0;
  };
  const say = (text: string, observations: readonly Observation[] = [], more: Omit<Step, 'used' | 'send' | 'observations'> = {}): Omit<Step, 'used'> => ({
    send: bytesOf(`${text}\r\n`),
    observations,
    ...more,
  });

  function tried(name: string, secret: string, scheme?: string): Omit<Step, 'used'> {
    expecting = 'command';
    return say(dialect.refused, [credentials(name, secret, scheme)]);
  }

  /** PLAIN is [authzid] NUL authcid NUL passwd (RFC 4616). */
  function triedPlain(encoded: string): Omit<Step, 'used'> {
    const [, name = '', secret = ''] = fromBase64(encoded).split('\0');
    return tried(name, secret);
  }

  function auth(rest: string): Omit<Step, 'used'> {
    const [mechanism = '', initial] = rest.split(' ');
    switch (mechanism.toUpperCase()) {
      case 'PLAIN':
        if (initial !== undefined && initial !== '') return triedPlain(initial);
        expecting = 'plain';
        return say('334 ');
      case 'LOGIN':
        if (initial !== undefined && initial !== '') {
          user = fromBase64(initial).slice(0, 256);
          expecting = 'login-secret';
          return say('334 UGFzc3dvcmQ6');
        }
        expecting = 'login-user';
        return say('334 VXNlcm5hbWU6');
      case 'CRAM-MD5':
        expecting = 'cram-md5';
        return say(`334 ${bytesOf(`<${toHex(context.random.subarray(0, 8))}@${context.persona.fullName}>`).toString('base64')}`);
      default:
        return say(dialect.unknownMechanism);
    }
  }

  function continueAuth(line: string): Omit<Step, 'used'> {
    if (line === '*') {
      expecting = 'command';
      return say(dialect.cancelled);
    }
    if (expecting === 'plain') return triedPlain(line);
    if (expecting === 'login-user') {
      user = fromBase64(line).slice(0, 256);
      expecting = 'login-secret';
      return say('334 UGFzc3dvcmQ6');
    }
    if (expecting === 'login-secret') return tried(user, fromBase64(line));
    const [name = '', digest = ''] = fromBase64(line).split(' ');
    return tried(name, digest, 'cram-md5');
  }

  function answer(line: string): Omit<Step, 'used'> {
    const { verb, rest } = verbOf(line);
    const seen = verb === 'AUTH' || verb === '' ? [] : [command(line)];
    switch (verb) {
      case 'HELO':
      case 'EHLO':
        if (rest === '') return say(dialect.helloWithoutName(verb), seen);
        hello = true;
        reset();
        return say(verb === 'HELO' ? dialect.helo(rest) : dialect.ehlo(rest, context.tls && !secure), seen);
      case 'AUTH':
        return hello ? auth(rest) : say(dialect.helloFirst, seen);
      case 'STARTTLS':
        if (!context.tls || secure) return say(dialect.unrecognised, seen);
        expecting = 'client-hello';
        return say(dialect.tlsNext, seen);
      case 'MAIL':
        if (!hello) return say(dialect.helloFirst, seen);
        if (!/^FROM:/i.test(rest)) return say(dialect.syntax('MAIL FROM:<address>'), seen);
        from = true;
        return say(dialect.senderTaken, seen);
      case 'RCPT': {
        if (!from) return say(dialect.mailFirst, seen);
        const to = /^TO:\s*<?([^>\s]*)>?/i.exec(rest)?.[1];
        if (to === undefined) return say(dialect.syntax('RCPT TO:<address>'), seen);
        if (!dialect.isOurs(to)) return say(dialect.relayRefused(to), seen);
        recipients++;
        return say(dialect.recipientTaken, seen);
      }
      case 'DATA':
        if (recipients === 0) return say(dialect.recipientFirst, seen);
        expecting = 'mail';
        mail = '';
        mailBytes = 0;
        return say(dialect.data, seen);
      case 'RSET':
        reset();
        return say(dialect.reset, seen);
      case 'NOOP':
        return say(dialect.noop, seen);
      case 'VRFY':
        return say(dialect.verify(rest), seen);
      case 'HELP':
        return say(dialect.help, seen);
      case 'QUIT':
        return say(dialect.goodbye, seen, { close: true });
      case 'GET':
      case 'POST':
      case 'CONNECT':
        return say(dialect.wrongProtocol, seen, { close: true });
      default:
        unknown++;
        return say(dialect.unrecognised, seen, { close: unknown >= MOST_UNKNOWN });
    }
  }

  /** Mail is read line by line, and kept only from its beginning. */
  function readMail(line: string, used: number): Step {
    if (line !== '.') {
      mailBytes += used;
      if (mail.length < LONGEST_PAYLOAD) mail += `${line}\n`;
      return { used, unfinished: true };
    }
    expecting = 'command';
    reset();
    const kept = mail;
    mail = '';
    return { used, ...say(dialect.queued(toHex(context.random.subarray(8, 14))), [payload('mail', kept, mailBytes)]) };
  }

  return createMachine(
    {
      protocol: 'smtp',
      longestMessage: LONGEST_COMMAND,
      greet: () => ({ used: 0, send: bytesOf(`${dialect.greeting}\r\n`) }),
      next(waiting) {
        if (expecting === 'client-hello') return awaitClientHello(waiting);
        const line = firstLine(waiting);
        if (line === undefined) return MORE;
        if (expecting === 'mail') return readMail(line.text, line.used);
        if (expecting !== 'command') return { used: line.used, ...continueAuth(line.text) };
        // biome-ignore lint/suspicious/noControlCharactersInRegex: binary on a text port is what we look for
        if (/[\x00-\x08\x0e-\x1f]/.test(line.text))
          return { used: line.used, ...say(dialect.unrecognised, [malformed('binary in a command')], { close: true }) };
        return { used: line.used, ...answer(line.text) };
      },
      secured() {
        secure = true;
        hello = false;
        expecting = 'command';
        reset();
        return MORE;
      },
    },
    context.limits,
  );
}
