/** The first trap: greets like the service that the port is known for, listens for a while, says nothing more. */
import type { Outcome, TrapMachine } from './machine.ts';

export interface BannerOptions {
  /** The port that the source connected to. */
  readonly port: number;
  /** What the host calls itself in greetings that name one. Letters, digits, dots, dashes. */
  readonly hostName: string;
  /** From accept() to the end of listening: whatever is sent in between prolongs nothing. */
  readonly patienceMs: number;
  /** More than this is not read. */
  readonly receivedBytes: number;
}

const GENERIC = 'generic';

/** Who speaks first, speaks so. A service that waits for its client sends nothing: a greeting would give the trap away. */
const GREETINGS: readonly { readonly protocol: string; readonly ports: readonly number[]; readonly greet: ((hostName: string) => Uint8Array) | null }[] = [
  { protocol: 'ftp', ports: [21], greet: () => text('220 (vsFTPd 3.0.3)\r\n') },
  { protocol: 'ssh', ports: [22, 2222, 22222], greet: () => text('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n') },
  // IAC DO TERMINAL-TYPE, DO TSPEED, DO XDISPLOC, DO NEW-ENVIRON (RFC 854): what inetutils telnetd says first
  { protocol: 'telnet', ports: [23, 2323], greet: () => Uint8Array.of(255, 253, 24, 255, 253, 32, 255, 253, 35, 255, 253, 39) },
  { protocol: 'smtp', ports: [25, 587, 2525], greet: hostName => text(`220 ${hostName} ESMTP Postfix (Debian/GNU)\r\n`) },
  { protocol: 'pop3', ports: [110], greet: () => text('+OK Dovecot (Debian) ready.\r\n') },
  {
    protocol: 'imap',
    ports: [143],
    greet: () => text('* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS AUTH=PLAIN] Dovecot (Debian) ready.\r\n'),
  },
  { protocol: 'rsync', ports: [873], greet: () => text('@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n') },
  { protocol: 'mysql', ports: [3306, 33060], greet: mysqlGreeting },
  { protocol: 'vnc', ports: [5900, 5901, 5902, 5903], greet: () => text('RFB 003.008\n') },
  { protocol: 'http', ports: [80, 81, 8000, 8008, 8080, 8081, 8888, 9200], greet: null },
  { protocol: 'tls', ports: [443, 465, 636, 993, 995, 4443, 8443], greet: null },
  { protocol: 'smb', ports: [139, 445], greet: null },
  { protocol: 'mssql', ports: [1433], greet: null },
  { protocol: 'rdp', ports: [3389], greet: null },
  { protocol: 'postgresql', ports: [5432], greet: null },
  { protocol: 'redis', ports: [6379], greet: null },
  { protocol: 'docker', ports: [2375, 2376], greet: null },
  { protocol: 'mongodb', ports: [27017], greet: null },
];

const BY_PORT = new Map(GREETINGS.flatMap(service => service.ports.map(port => [port, service] as const)));

/** The machine of one connection. */
export function createBannerTrap(options: BannerOptions): TrapMachine {
  const service = BY_PORT.get(options.port);
  let received = 0;
  let deadlineMs = 0;
  const listening = (): Outcome => ({ observations: [], wakeAtMs: deadlineMs, close: false });
  return {
    protocol: service?.protocol ?? GENERIC,
    open(nowMs) {
      deadlineMs = nowMs + options.patienceMs;
      const send = greetingOf(service, options.hostName);
      return send === undefined ? listening() : { ...listening(), send };
    },
    receive(bytes, nowMs) {
      received += bytes.length;
      if (received > options.receivedBytes) return { observations: [{ kind: 'too-much', receivedBytes: received }], wakeAtMs: 'never', close: true };
      return nowMs >= deadlineMs ? this.expire(nowMs) : listening();
    },
    expire: nowMs => (nowMs < deadlineMs ? listening() : { observations: [{ kind: 'deadline' }], wakeAtMs: 'never', close: true }),
  };
}

/** An unknown port greets with an empty line: enough for a client that waits for the server, harmless to one that does not. */
function greetingOf(service: (typeof GREETINGS)[number] | undefined, hostName: string): Uint8Array | undefined {
  if (service === undefined) return text('\r\n');
  return service.greet?.(hostName);
}

/** HandshakeV10 of MariaDB (MySQL Internals, "Connection Phase"). The scramble is fixed: this trap does not go on to check it. */
function mysqlGreeting(): Uint8Array {
  const scramble = '5kQ:"]aV#m7^Lw2Zy&tE';
  const body = [
    10,
    ...text('5.5.5-10.11.6-MariaDB-0+deb12u1'),
    0, // version, said through the replication prefix that MariaDB keeps
    41,
    0,
    0,
    0, // connection id
    ...text(scramble.slice(0, 8)),
    0,
    0xfe,
    0xf7,
    45,
    2,
    0,
    0xff,
    0x81,
    21, // capabilities, utf8mb4, autocommit, more capabilities, length of the scramble
    0,
    0,
    0,
    0,
    0,
    0,
    0x1d,
    0,
    0,
    0,
    ...text(scramble.slice(8)),
    0,
    ...text('mysql_native_password'),
    0,
  ];
  return Uint8Array.of(body.length & 0xff, body.length >> 8, 0, 0, ...body);
}

function text(ascii: string): Uint8Array {
  return Uint8Array.from(ascii, character => character.charCodeAt(0));
}
