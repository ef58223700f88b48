/** How Postfix and Exim word their answers. */
import { rfc5322 } from './dates.ts';
import type { TrapContext } from './machine.ts';

export interface Dialect {
  readonly greeting: string;
  readonly helo: (name: string) => string;
  readonly ehlo: (name: string, tls: boolean) => string;
  readonly helloWithoutName: (verb: string) => string;
  readonly helloFirst: string;
  readonly refused: string;
  readonly unknownMechanism: string;
  readonly cancelled: string;
  readonly tlsNext: string;
  readonly senderTaken: string;
  readonly mailFirst: string;
  readonly syntax: (form: string) => string;
  readonly recipientTaken: string;
  readonly recipientFirst: string;
  /** Whether mail to `address` stays on this host. */
  readonly isOurs: (address: string) => boolean;
  readonly relayRefused: (address: string) => string;
  readonly data: string;
  readonly queued: (id: string) => string;
  readonly reset: string;
  readonly noop: string;
  readonly verify: (name: string) => string;
  readonly help: string;
  readonly goodbye: string;
  readonly wrongProtocol: string;
  readonly unrecognised: string;
}

export function createDialect(context: TrapContext): Dialect {
  return context.persona.software.smtp === 'exim' ? exim(context) : postfix(context);
}

function isOurs({ persona }: TrapContext): (address: string) => boolean {
  return address => {
    const at = address.lastIndexOf('@');
    const domain = address.slice(at + 1).toLowerCase();
    return at < 0 || domain === persona.fullName || domain === persona.domain || domain === 'localhost';
  };
}

const multiline = (lines: readonly string[]): string => lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}`).join('\r\n');

function postfix(context: TrapContext): Dialect {
  const { persona } = context;
  const name = persona.fullName;
  const vendor = { debian: ' (Debian/GNU)', ubuntu: ' (Ubuntu)', rhel: '' }[persona.release.family];
  return {
    greeting: `220 ${name} ESMTP Postfix${vendor}`,
    helo: () => `250 ${name}`,
    ehlo: (_peer, tls) =>
      multiline([
        name,
        'PIPELINING',
        'SIZE 10240000',
        'VRFY',
        'ETRN',
        ...(tls ? ['STARTTLS'] : []),
        'AUTH PLAIN LOGIN',
        'ENHANCEDSTATUSCODES',
        '8BITMIME',
        'DSN',
        'SMTPUTF8',
        'CHUNKING',
      ]),
    helloWithoutName: verb => `501 Syntax: ${verb} hostname`,
    helloFirst: '503 5.5.1 Error: send HELO/EHLO first',
    refused: '535 5.7.8 Error: authentication failed: authentication failure',
    unknownMechanism: '535 5.7.8 Error: authentication failed: Invalid authentication mechanism',
    cancelled: '501 5.7.0 Authentication aborted',
    tlsNext: '220 2.0.0 Ready to start TLS',
    senderTaken: '250 2.1.0 Ok',
    mailFirst: '503 5.5.1 Error: need MAIL command',
    syntax: form => `501 5.5.4 Syntax: ${form}`,
    recipientTaken: '250 2.1.5 Ok',
    recipientFirst: '503 5.5.1 Error: need RCPT command',
    isOurs: isOurs(context),
    relayRefused: address => `454 4.7.1 <${address.slice(0, 256)}>: Relay access denied`,
    data: '354 End data with <CR><LF>.<CR><LF>',
    queued: id => `250 2.0.0 Ok: queued as ${id.slice(0, 11).toUpperCase()}`,
    reset: '250 2.0.0 Ok',
    noop: '250 2.0.0 Ok',
    verify: address => (address === '' ? '501 5.5.4 Syntax: VRFY address' : `252 2.0.0 ${address.slice(0, 256)}`),
    help: '502 5.5.2 Error: command not recognized',
    goodbye: '221 2.0.0 Bye',
    wrongProtocol: '221 2.7.0 Error: I can break rules, too. Goodbye.',
    unrecognised: '502 5.5.2 Error: command not recognized',
  };
}

function exim(context: TrapContext): Dialect {
  const { persona, source } = context;
  const name = persona.fullName;
  const vendor = persona.release.family === 'ubuntu' ? ' Ubuntu' : '';
  const hello = (peer: string): string => `${name} Hello ${peer.slice(0, 256)} [${source}]`;
  return {
    greeting: `220 ${name} ESMTP Exim ${persona.versions.exim}${vendor} ${rfc5322(context.acceptedAt)}`,
    helo: peer => `250 ${hello(peer)}`,
    ehlo: (peer, tls) =>
      multiline([
        hello(peer),
        'SIZE 52428800',
        '8BITMIME',
        'PIPELINING',
        'PIPECONNECT',
        'AUTH PLAIN LOGIN',
        'CHUNKING',
        ...(tls ? ['STARTTLS'] : []),
        'PRDR',
        'HELP',
      ]),
    helloWithoutName: verb => `501 Syntactically invalid ${verb} argument(s)`,
    helloFirst: '503 HELO or EHLO required',
    refused: '535 Incorrect authentication data',
    unknownMechanism: '504 Unrecognized authentication type',
    cancelled: '501 Authentication cancelled',
    tlsNext: '220 TLS go ahead',
    senderTaken: '250 OK',
    mailFirst: '503 sender not yet given',
    syntax: form => `500 ${form.split(' ', 1)[0]} must have an address operand`,
    recipientTaken: '250 Accepted',
    recipientFirst: '503-All RCPT commands were rejected with this error:\r\n503 Valid RCPT command must precede DATA',
    isOurs: isOurs(context),
    relayRefused: () => '550 relay not permitted',
    data: '354 Enter message, ending with "." on a line by itself',
    queued: id => `250 OK id=1${id.slice(0, 5)}-00${id.slice(5, 9)}-${id.slice(9, 11)}`,
    reset: '250 Reset OK',
    noop: '250 OK',
    verify: () => '252 Administrative prohibition',
    help: '214-Commands supported:\r\n214 AUTH STARTTLS HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT RSET HELP',
    goodbye: `221 ${name} closing connection`,
    wrongProtocol: '554 SMTP synchronization error',
    unrecognised: '500 unrecognized command',
  };
}
