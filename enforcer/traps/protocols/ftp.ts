/** FTP (RFC 959, 2389, 4217): takes log-ins, lets nobody in. The wording is that of the persona's server. */
import { awaitClientHello } from './client-hello-wait.ts';
import { bytesOf, firstLine, verbOf } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { command, credentials, malformed } from './observation.ts';
import type { Persona } from './persona.ts';

interface Wording {
  readonly greeting: (context: TrapContext) => string;
  readonly userTaken: (user: string) => string;
  readonly refused: string;
  readonly userFirst: string;
  readonly logInFirst: string;
  readonly goodbye: string;
  readonly features: (tls: boolean) => string;
  readonly tlsNext: string;
  readonly noTls: string;
  readonly utf8: string;
  /** Log-ins before it hangs up. */
  readonly tries: number;
  readonly help?: (hostName: string) => string;
  /** Commands that it knows, where it tells them from others; all others get `unknown`. */
  readonly known?: ReadonlySet<string>;
  readonly unknown?: (verb: string) => string;
  /** What else it answers before log-in. */
  readonly others: Readonly<Record<string, string>>;
}

const LONGEST_COMMAND = 4096;

const VSFTPD: Wording = {
  greeting: ({ persona }) => `220 (vsFTPd ${persona.versions.vsftpd})\r\n`,
  userTaken: () => '331 Please specify the password.\r\n',
  refused: '530 Login incorrect.\r\n',
  userFirst: '503 Login with USER first.\r\n',
  logInFirst: '530 Please login with USER and PASS.\r\n',
  goodbye: '221 Goodbye.\r\n',
  features: tls =>
    `211-Features:\r\n${tls ? ' AUTH TLS\r\n' : ''} EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n${tls ? ' PBSZ\r\n PROT\r\n' : ''} REST STREAM\r\n SIZE\r\n TVFS\r\n211 End\r\n`,
  tlsNext: '234 Proceed with negotiation.\r\n',
  noTls: '530 Please login with USER and PASS.\r\n',
  utf8: '200 Always in UTF8 mode.\r\n',
  tries: 3,
  others: {},
};

/** Eight a line, as ProFTPD prints them; a star is for what it does not do. */
const PROFTPD_COMMANDS = [
  'CWD XCWD CDUP XCUP SMNT* QUIT PORT PASV',
  'EPRT EPSV ALLO RNFR RNTO DELE MDTM RMD',
  'XRMD MKD XMKD PWD XPWD SIZE SYST HELP',
  'NOOP FEAT OPTS HOST CLNT AUTH CCC* CONF*',
  'ENC* MIC* PBSZ PROT TYPE STRU MODE RETR',
  'STOR STOU APPE REST ABOR RANG USER PASS',
  'ACCT* REIN* LIST NLST STAT SITE MLSD MLST',
].map(line => line.split(' '));

const PROFTPD: Wording = {
  greeting: ({ persona, destination }) =>
    `220 ProFTPD Server (${persona.release.vendor}) [${destination.includes(':') ? destination : `::ffff:${destination}`}]\r\n`,
  userTaken: user => `331 Password required for ${user}\r\n`,
  refused: '530 Login incorrect.\r\n',
  userFirst: '503 Login with USER first\r\n',
  logInFirst: '530 Please login with USER and PASS\r\n',
  goodbye: '221 Goodbye.\r\n',
  features: tls =>
    `211-Features:\r\n${tls ? ' AUTH TLS\r\n CCC\r\n' : ''} CLNT\r\n EPRT\r\n EPSV\r\n HOST\r\n LANG en-US.UTF-8*;en-US\r\n MDTM\r\n MFF modify;UNIX.group;UNIX.mode;\r\n MFMT\r\n MLST modify*;perm*;size*;type*;unique*;UNIX.group*;UNIX.groupname*;UNIX.mode*;UNIX.owner*;UNIX.ownername*;\r\n${tls ? ' PBSZ\r\n PROT\r\n' : ''} REST STREAM\r\n SIZE\r\n SSCN\r\n TVFS\r\n UTF8\r\n211 End\r\n`,
  tlsNext: '234 AUTH TLS successful\r\n',
  noTls: '500 AUTH not understood\r\n',
  utf8: '200 UTF8 set to on\r\n',
  tries: 3,
  help: hostName =>
    `214-The following commands are recognized (* =>'s unimplemented):\r\n${PROFTPD_COMMANDS.map(line => ` ${line.map(name => name.padEnd(8)).join('')}\r\n`).join('')}214 Direct comments to root@${hostName}\r\n`,
  known: new Set(PROFTPD_COMMANDS.flat().map(name => name.replace('*', ''))),
  unknown: verb => `500 ${verb.slice(0, 64)} not understood\r\n`,
  others: { SYST: '215 UNIX Type: L8\r\n', NOOP: '200 NOOP command successful\r\n', CLNT: '200 OK\r\n' },
};

const PURE_FTPD: Wording = {
  greeting: ({ acceptedAt, persona, port, tls }) => {
    const minute = Math.floor(acceptedAt / 60_000) % (24 * 60);
    const clock = `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
    const users = persona.between('ftp-users', 1, 4);
    return [
      `220---------- Welcome to Pure-FTPd [privsep]${tls ? ' [TLS]' : ''} ----------`,
      `220-You are user number ${users} of 50 allowed.`,
      `220-Local time is now ${clock}. Server port: ${port}.`,
      '220-This is a private system - No anonymous login',
      '220-IPv6 connections are also welcome on this server.',
      '220 You will be disconnected after 15 minutes of inactivity.\r\n',
    ].join('\r\n');
  },
  userTaken: user => `331 User ${user} OK. Password required\r\n`,
  refused: '530 Login authentication failed\r\n',
  userFirst: '530 Please tell me who you are\r\n',
  logInFirst: "530 You aren't logged in\r\n",
  goodbye: '221-Goodbye. You uploaded 0 and downloaded 0 kbytes.\r\n221 Logout.\r\n',
  features: tls =>
    `211-Extensions supported:\r\n UTF8\r\n EPRT\r\n IDLE\r\n MDTM\r\n SIZE\r\n MFMT\r\n REST STREAM\r\n MLST type*;size*;sizd*;modify*;UNIX.mode*;UNIX.uid*;UNIX.gid*;unique*;\r\n MLSD\r\n${tls ? ' AUTH TLS\r\n PBSZ\r\n PROT\r\n' : ''} PRET\r\n ESTA\r\n PASV\r\n EPSV\r\n SPSV\r\n211 End.\r\n`,
  tlsNext: '234 AUTH TLS OK.\r\n',
  noTls: "530 You aren't logged in\r\n",
  utf8: '200 OK, UTF-8 enabled\r\n',
  tries: 5,
  others: { SYST: '215 UNIX Type: L8\r\n', NOOP: '200 Zzz...\r\n' },
};

const WORDINGS: Readonly<Record<Persona['software']['ftp'], Wording>> = { vsftpd: VSFTPD, proftpd: PROFTPD, 'pure-ftpd': PURE_FTPD };

/** The machine of one control connection. */
export function createFtpTrap(context: TrapContext): TrapMachine {
  const wording = WORDINGS[context.persona.software.ftp];
  let user: string | undefined;
  let tries = 0;
  let secure = false;
  let helloNext = false;

  function answer(line: string): Omit<Step, 'used'> {
    const { verb, rest } = verbOf(line);
    const offersTls = context.tls && !secure;
    const seen: Observation[] = [];
    const say = (text: string, more: Omit<Step, 'used' | 'send'> = {}): Omit<Step, 'used'> => ({ send: bytesOf(text), observations: seen, ...more });
    if (verb === '') return { observations: seen };
    if (verb !== 'USER' && verb !== 'PASS') seen.push(command(line));
    switch (verb) {
      case 'USER':
        user = rest.slice(0, 256);
        return say(wording.userTaken(user));
      case 'PASS': {
        if (user === undefined) return say(wording.userFirst);
        // A password may begin or end with spaces: what follows the one space after PASS is it.
        seen.push(credentials(user, line.slice(line.indexOf(' ') < 0 ? line.length : line.indexOf(' ') + 1)));
        user = undefined;
        tries++;
        return say(wording.refused, { close: tries >= wording.tries });
      }
      case 'QUIT':
        return say(wording.goodbye, { close: true });
      case 'FEAT':
        return say(wording.features(offersTls));
      case 'AUTH':
        if (!offersTls || !/^(TLS|SSL|TLS-C|TLS-P)$/i.test(rest)) return say(wording.noTls);
        helloNext = true;
        return say(wording.tlsNext);
      case 'OPTS':
        return say(/^UTF8( ON)?$/i.test(rest) ? wording.utf8 : '501 Option not understood.\r\n');
      case 'HELP':
        return say(wording.help?.(context.persona.fullName) ?? wording.logInFirst);
      default:
        if (wording.known?.has(verb) === false && wording.unknown !== undefined) return say(wording.unknown(verb));
        return say(wording.others[verb] ?? wording.logInFirst);
    }
  }

  return createMachine(
    {
      protocol: 'ftp',
      longestMessage: LONGEST_COMMAND,
      greet: () => ({ used: 0, send: bytesOf(wording.greeting(context)) }),
      next(waiting) {
        if (helloNext) return awaitClientHello(waiting);
        const line = firstLine(waiting);
        if (line === undefined) return MORE;
        // biome-ignore lint/suspicious/noControlCharactersInRegex: binary on a text port is what we look for
        if (/[\x00-\x08\x0e-\x1f]/.test(line.text))
          return { used: line.used, observations: [malformed('binary in a command')], send: bytesOf(wording.logInFirst) };
        return { used: line.used, ...answer(line.text) };
      },
      secured() {
        secure = true;
        helloNext = false;
        user = undefined;
        return MORE;
      },
    },
    context.limits,
  );
}
