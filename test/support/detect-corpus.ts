/**
 * What is said in traps, as data: detect/attacks.jsonl in the shapes of scanners, botnets and published exploits, each with the rule that must see it, and
 * detect/everyday.jsonl of ordinary clients, in which nothing may be found. A character is a byte (U+0000 to U+00FF), as in observations.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Observation } from '@honeymesh/intel/observations';
import type { Reason } from '@honeymesh/intel/reasons';
import type { About } from '#enforcer/detect/judge.ts';

export interface Said {
  readonly name: string;
  readonly about: About;
  readonly observation: Observation;
}

export interface Attack extends Said {
  readonly rule: string;
  readonly reason: Reason;
}

interface Written {
  readonly rule?: string;
  readonly reason?: Reason;
  /** Protocol, port, transport. */
  readonly on: string;
  readonly request?: readonly [method: string, target: string, headers?: readonly (readonly [string, string])[]];
  readonly command?: string;
  readonly payload?: readonly [name: string, content: string];
  readonly login?: readonly [user: string, secret: string, scheme?: string];
  readonly mark?: readonly [name: string, value: string];
}

const LONGEST_NAME = 110;

export const attacks = (): readonly Attack[] =>
  linesOf('attacks').map(written => {
    if (written.rule === undefined || written.reason === undefined) throw new Error(`an attack without its rule: ${JSON.stringify(written)}`);
    return { ...saidIn(written), rule: written.rule, reason: written.reason };
  });

export const everyday = (): readonly Said[] => [...linesOf('everyday').map(saidIn), ...randomByRight()];

export const at = (protocol: string, port: number, transport: 'tcp' | 'udp' = 'tcp'): About => ({ protocol, port, transport });

export const payloadOf = (name: string, content: string, bytes: number = content.length): Observation => ({ kind: 'payload', name, content, bytes });

/** As uniform as encryption makes them; the same seed, the same bytes. */
export function randomBytes(length: number, seed: number): string {
  let state = seed >>> 0 || 1;
  let text = '';
  for (let count = 0; count < length; count++) {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    text += String.fromCharCode((state >>> 11) & 0xff);
  }
  return text;
}

/** What looks random because it is compressed, encrypted or a picture. */
function randomByRight(): readonly Said[] {
  const web = at('http', 80);
  const all: readonly (readonly [name: string, about: About, observation: Observation])[] = [
    ['an upload in gzip', web, payloadOf('body', `\x1f\x8b\x08\x00${randomBytes(2000, 17)}`)],
    ['a photograph', web, payloadOf('body', `\xff\xd8\xff\xe0\x00\x10JFIF${randomBytes(2000, 19)}`)],
    ['a PNG', web, payloadOf('body', `\x89PNG\r\n\x1a\n${randomBytes(2000, 23)}`)],
    ['a zip', web, payloadOf('body', `PK\x03\x04${randomBytes(2000, 29)}`)],
    ['a film', web, payloadOf('body', `\x00\x00\x00\x20ftypisom${randomBytes(2000, 37)}`)],
    ['a piece of an encrypted backup', web, payloadOf('body', randomBytes(4096, 31), 4_194_304)],
    ['a short encrypted message', web, payloadOf('body', randomBytes(300, 41))],
    ['a cached value, compressed', at('memcached', 11211), payloadOf('memcached user:42', randomBytes(900, 3))],
    ['QUIC', at('generic-udp', 443, 'udp'), payloadOf('datagram', `\xc3\x00\x00\x00\x01\x08${randomBytes(1190, 5)}`)],
    ['WireGuard', at('generic-udp', 51820, 'udp'), payloadOf('datagram', `\x01\x00\x00\x00${randomBytes(144, 9)}`)],
    ['BitTorrent, encrypted', at('unknown', 40000), payloadOf('unknown', randomBytes(600, 7))],
    ['the key exchange of SSH', at('ssh', 22), payloadOf('ssh', `\x00\x00\x06\x14\x08\x14${randomBytes(200, 13)}curve25519-sha256,ecdh-sha2-nistp256`)],
  ];
  return all.map(([name, about, observation]) => ({ name, about, observation }));
}

const linesOf = (file: string): readonly Written[] =>
  readFileSync(join(import.meta.dirname, 'detect', `${file}.jsonl`), 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Written);

function saidIn(written: Written): Said {
  const [protocol = '', port = '', transport] = written.on.split('/');
  const observation = observationIn(written);
  const { kind: _kind, ...shown } = observation;
  const name = `${written.on} ${Object.values(shown)
    .map(value => JSON.stringify(value))
    .join(' ')}`.slice(0, LONGEST_NAME);
  return { name, about: at(protocol, Number(port), transport === 'udp' ? 'udp' : 'tcp'), observation };
}

function observationIn({ request, command, payload, login, mark }: Written): Observation {
  if (request !== undefined) return { kind: 'request', method: request[0], target: request[1], headers: request[2] ?? [] };
  if (command !== undefined) return { kind: 'command', line: command };
  if (payload !== undefined) return payloadOf(...payload);
  if (login !== undefined) return { kind: 'credentials', user: login[0], secret: login[1], ...(login[2] === undefined ? {} : { scheme: login[2] }) };
  if (mark !== undefined) return { kind: 'fingerprint', name: mark[0], value: mark[1] };
  throw new Error('a line of the corpus that says nothing');
}
