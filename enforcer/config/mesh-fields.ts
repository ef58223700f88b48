/** The keys of `mesh`: places on the network, the group's key, how far others are believed. */
import { isIPv4 } from 'node:net';
import { parseAddress } from '@honeymesh/intel/address';
import * as z from 'zod';
import { isNodeName, isSiteName, LONGEST_NAME } from '../mesh/signed/certificates.ts';
import { nearest } from './nearest.ts';
import { bad } from './wording.ts';

export const MESH_PORT = 7946;
export const REGISTRAR_PORT = 7947;
export const DASHBOARD_PORT = 8443;

export interface Place {
  /** An address or a name, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const PLACE = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const LONGEST_HOST = 253;

/** `192.0.2.1:7946`, `192.0.2.1`, `[2001:db8::1]:7946`, `2001:db8::1`, `peer.example:7946`. undefined: it is none. */
export function readPlace(text: string, standardPort: number): Place | undefined {
  const bare = parseAddress(text);
  if (bare.ok && text.includes(':')) return { host: bare.value, port: standardPort };
  const match = PLACE.exec(text);
  if (match === null) return undefined;
  const [, inBrackets, plain = '', digits] = match;
  const port = digits === undefined ? standardPort : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  const address = parseAddress(inBrackets ?? plain);
  if (address.ok) return inBrackets === undefined || inBrackets.includes(':') ? { host: address.value, port } : undefined;
  return inBrackets === undefined && isHostName(plain) ? { host: plain.toLowerCase().replace(/\.$/, ''), port } : undefined;
}

/** RFC 1123; a last label of digits is a slip in an address, not a name. */
function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.');
  return text.length <= LONGEST_HOST && labels.every(label => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '');
}

export const placeText = ({ host, port }: Place): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** What must never be a trap nor count as scanned: peers come there. */
export function meshPorts({ bind, registrar }: { readonly bind: Place; readonly registrar: Place }): {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
} {
  return { tcp: [bind.port, registrar.port], udp: [bind.port] };
}

const isAddress = ({ host }: Place): boolean => isIPv4(host) || host.includes(':');

interface PlaceField {
  readonly port: number;
  /** Names too, not addresses only. */
  readonly names: boolean;
}

function place({ port, names }: PlaceField) {
  const form = `${names ? 'a name or an address' : 'an address'} with or without a port, such as ${names ? 'peer.example:7946' : `192.0.2.1:${port}`} or "[2001:db8::1]:${port}"`;
  return z
    .string({ error: issue => `${bad(issue.input, form)}${Array.isArray(issue.input) ? '; in YAML a text that begins with [ needs quotes' : ''}` })
    .meta({ title: names ? 'host[:port]' : 'address[:port]' })
    .transform((text, context): Place => {
      const read = readPlace(text.trim(), port);
      if (read !== undefined && (names || isAddress(read))) return read;
      context.issues.push({ code: 'custom', message: bad(text, form), input: text });
      return z.NEVER;
    });
}

export const bindPlace = (port: number, about: string) => place({ port, names: false }).prefault(`0.0.0.0:${port}`).meta({ description: about });

/** YAML reads an unquoted `off` as a word, but older habits write `false`. */
export const bindPlaceOrOff = (standard: string, port: number, about: string) =>
  z
    .union([z.literal('off'), z.literal(false).transform((): 'off' => 'off'), place({ port, names: false })], {
      error: issue => bad(issue.input, `off, or an address with or without a port, such as 0.0.0.0:${port}`),
    })
    .prefault(standard)
    .meta({ description: about });

export const advertisedPlace = place({ port: MESH_PORT, names: false })
  .refine(({ host }) => host !== '0.0.0.0' && host !== '::', { error: 'is no address that others could reach: give the one under which they see this host' })
  .optional();

export const peerPlaces = z
  .array(place({ port: MESH_PORT, names: true }), { error: issue => bad(issue.input, 'a list of members such as [peer.example, "192.0.2.1:7946"]') })
  .max(64, { error: 'holds more than 64 entries: a few members are enough, they know the others' })
  .prefault([])
  .meta({
    description: 'Members to begin with, by name or address; asked again whenever one of them is not known as alive. Names are resolved anew each time.',
  });

const KEY_BYTES = [16, 24, 32];
const KEY_HINT = '"head -c 32 /dev/urandom | base64" makes one';

/** A key is never shown, not even a wrong one. */
export const groupKey = z
  .string({ error: `is no key: give 16, 24 or 32 bytes in base64; ${KEY_HINT}` })
  .meta({ title: '16, 24 or 32 bytes in base64' })
  .transform((text, context): string => {
    const trimmed = text.trim();
    const bytes = Buffer.from(trimmed, 'base64');
    const refuse = (message: string): never => {
      context.issues.push({ code: 'custom', message, input: '' });
      return z.NEVER;
    };
    if (bytes.toString('base64').replace(/=+$/, '') !== trimmed.replace(/=+$/, '')) return refuse(`is not base64: give 16, 24 or 32 bytes in it; ${KEY_HINT}`);
    if (!KEY_BYTES.includes(bytes.length)) return refuse(`holds ${bytes.length} bytes: give 16, 24 or 32 in base64; ${KEY_HINT}`);
    return bytes.toString('base64');
  })
  .optional();

const LONGEST_LABEL = 255;

export const meshLabel = z
  .string({ error: issue => bad(issue.input, 'a text of at most 255 bytes') })
  .refine(text => Buffer.byteLength(text) <= LONGEST_LABEL, { error: 'is longer than 255 bytes' })
  .default('');

const word = (form: string, holds: (text: string) => boolean) =>
  z.string({ error: issue => bad(issue.input, form) }).refine(holds, { error: issue => bad(issue.input, form) });

export const meshName = word(`a name of at most ${LONGEST_NAME} letters, digits, dots, dashes and underscores`, isNodeName).optional();
export const meshSite = word('a word such as home: letters, digits, dots, dashes and underscores', isSiteName).optional();

const SIGNATURES = ['off', 'preferred', 'required'] as const;

/** YAML reads an unquoted `off` as a word, but older habits write `false`. */
export const meshSignatures = z
  .union([z.enum(SIGNATURES), z.literal(false).transform((): 'off' => 'off')], {
    error: issue => {
      const near = typeof issue.input === 'string' ? nearest(issue.input, SIGNATURES) : undefined;
      return `${bad(issue.input, `one of ${SIGNATURES.join(', ')}`)}${near === undefined ? '' : `; did you mean ${near}?`}`;
    },
  })
  .optional();
