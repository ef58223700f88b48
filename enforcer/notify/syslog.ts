/** RFC 5424 messages, over UDP (RFC 5426), TCP with octet counting (RFC 6587) and TLS (RFC 5425). */
import { createSocket } from 'node:dgram';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { placeText } from '../config/mesh-fields.ts';
import { FACILITIES, type Facility, type NotifyConfig } from '../config/notify-fields.ts';
import { headline } from './digest.ts';
import type { ReadText } from './hooks.ts';
import type { Channel, Delivery, Digest } from './port.ts';
import { failed } from './post.ts';

const LATEST_MS = 10_000;
/** Nobody answers a datagram; a closed port does, by ICMP, within moments on a network near by. */
const REFUSAL_MS = 150;
/** RFC 5426, 3.2 and RFC 5425, 4.3.1: what a receiver should take. */
const LONGEST = { udp: 2_048, tcp: 8_192, tls: 8_192 } as const;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
/** RFC 5612: the number that documents use; whoever reads knows our element by its name. */
const ELEMENT = 'honeymesh@32473';

const FACILITY_NUMBERS: Readonly<Record<Facility, number>> = {
  daemon: 3,
  auth: 4,
  authpriv: 10,
  ...(Object.fromEntries(FACILITIES.filter(name => name.startsWith('local')).map(name => [name, 16 + Number(name.slice(5))])) as Record<
    `local${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7}`,
    number
  >),
};

export interface SyslogDeps {
  readonly readText: ReadText;
  readonly pid: number;
}

export function createSyslog({ server, transport, facility, ca }: NonNullable<NotifyConfig['syslog']>, { readText, pid }: SyslogDeps): Channel {
  const label = `syslog (${placeText(server)})`;
  return {
    name: 'syslog',
    async deliver(digest, signal) {
      const message = syslogMessage(digest, { facility, pid, longest: LONGEST[transport] });
      if (transport === 'udp') return sendDatagram(server, message, label);
      let roots: string | undefined;
      try {
        roots = ca === undefined ? undefined : readText(ca);
      } catch {
        return { ok: false, why: `${label}: ${ca} cannot be read`, fix: 'name a PEM file in notify.syslog.ca that root can read', final: false };
      }
      const to = { host: server.host, port: server.port };
      const open = (): Socket =>
        transport === 'tcp'
          ? connect(to)
          : connectTls({
              ...to,
              minVersion: 'TLSv1.2',
              ...(isIP(server.host) === 0 ? { servername: server.host } : {}),
              ...(roots === undefined ? {} : { ca: roots }),
            });
      return sendStream(open, transport === 'tcp' ? 'connect' : 'secureConnect', Buffer.concat([Buffer.from(`${message.length} `), message]), label, signal);
    },
  };
}

/** `longest`: in bytes; the text is cut, the head and the data never. */
export function syslogMessage(
  digest: Digest,
  { facility, pid, longest }: { readonly facility: Facility; readonly pid: number; readonly longest: number },
): Buffer {
  const severity = digest.test || digest.severity < 6 ? 5 : digest.severity < 8 ? 4 : 2; // notice, warning, critical
  const data = {
    id: digest.id,
    instance: digest.instance,
    total: digest.total,
    from: digest.from,
    to: digest.to,
    ...Object.fromEntries(Object.entries(digest.kinds).map(([kind, count]) => [`kind-${kind}`, count])),
  };
  const element = Object.entries(data)
    .map(([name, value]) => ` ${name}="${String(value).replace(/["\\\]]/g, '\\$&')}"`)
    .join('');
  const head = `<${FACILITY_NUMBERS[facility] * 8 + severity}>1 ${digest.to} ${printUsAscii(digest.host, 255)} honeymesh ${pid} ${digest.test ? 'test' : 'digest'} [${ELEMENT}${element}] \ufeff`;
  const first = digest.events.slice(0, 5).map(({ summary }) => summary);
  const text = [headline(digest), ...first].join('; ').toWellFormed().replace(UNPRINTABLE, ' ');
  return cut(Buffer.from(head + text), longest);
}

const printUsAscii = (text: string, longest: number): string => text.replace(/[^\x21-\x7e]/g, '').slice(0, longest) || '-';

/** Never within a character. */
function cut(bytes: Buffer, longest: number): Buffer {
  let end = Math.min(bytes.length, longest);
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function sendDatagram({ host, port }: { readonly host: string; readonly port: number }, message: Buffer, label: string): Promise<Delivery> {
  return new Promise(resolve => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    let done = false;
    const end = (delivery: Delivery): void => {
      if (done) return;
      done = true;
      socket.close();
      resolve(delivery);
    };
    socket.on('error', (error: NodeJS.ErrnoException) => end(failed(label, error)));
    // Connected, so that a refusal comes back
    socket.connect(port, host, () => socket.send(message, error => (error === null ? setTimeout(end, REFUSAL_MS, { ok: true }) : end(failed(label, error)))));
  });
}

function sendStream(open: () => Socket, ready: string, frame: Buffer, label: string, signal: AbortSignal): Promise<Delivery> {
  return new Promise(resolve => {
    const socket = open();
    const late = setTimeout(() => socket.destroy(Object.assign(new Error('late'), { code: 'ABORT_ERR' })), LATEST_MS);
    const stop = (): void => void socket.destroy(Object.assign(new Error('stopped'), { code: 'ABORT_ERR' }));
    signal.addEventListener('abort', stop, { once: true });
    let failure: Delivery | null = null;
    let written = false;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure ??= failed(label, error);
    });
    socket.on('close', () => {
      clearTimeout(late);
      signal.removeEventListener('abort', stop);
      resolve(failure ?? (written ? { ok: true } : failed(label, Object.assign(new Error('it closed the connection'), { code: 'ECONNRESET' }))));
    });
    socket.resume(); // what it says is thrown away; its end is what we wait for
    // Our end closes first; theirs follows once they have read all of it
    socket.once(ready, () =>
      socket.end(frame, () => {
        written = true;
      }),
    );
  });
}
