/** JA4: the fingerprint of a TLS client (FoxIO, "JA4: TLS Client Fingerprinting"), stable under shuffled extensions. */
import { hash } from 'node:crypto';
import type { ClientHello } from './client-hello.ts';

const SERVER_NAME = 0x0000;
const ALPN = 0x0010;
const NO_LIST = '000000000000';

const VERSIONS: Readonly<Record<number, string>> = {
  772: '13',
  771: '12',
  770: '11',
  769: '10',
  768: 's3',
  2: 's2',
  65279: 'd1',
  65277: 'd2',
  65276: 'd3',
};

/** The fingerprint of a hello over TCP, 36 characters. */
export function ja4(hello: ClientHello): string {
  const [ciphers, extensions] = listsOf(hello);
  return `${prefixOf(hello)}_${shortHash(ciphers)}_${shortHash(extensions)}`;
}

/** JA4_r: the same with the lists themselves in place of their hashes. */
export function ja4Raw(hello: ClientHello): string {
  return [prefixOf(hello), ...listsOf(hello)].join('_');
}

function prefixOf(hello: ClientHello): string {
  const ciphers = hello.ciphers.filter(isReal).length;
  const extensions = hello.extensions.filter(isReal).length;
  const name = hello.extensions.includes(SERVER_NAME) ? 'd' : 'i';
  return `t${versionOf(hello)}${name}${twoDigits(ciphers)}${twoDigits(extensions)}${firstAndLast(hello.alpn[0] ?? '')}`;
}

function listsOf(hello: ClientHello): [ciphers: string, extensions: string] {
  const ciphers = hello.ciphers.filter(isReal).map(fourHex).sort().join(',');
  const extensions = hello.extensions
    .filter(type => isReal(type) && type !== SERVER_NAME && type !== ALPN)
    .map(fourHex)
    .sort()
    .join(',');
  const algorithms = hello.signatureAlgorithms.filter(isReal).map(fourHex).join(',');
  return [ciphers, algorithms === '' ? extensions : `${extensions}_${algorithms}`];
}

/** GREASE (RFC 8701) is noise that clients put in on purpose: 0x0a0a, 0x1a1a, ... 0xfafa. */
function isReal(value: number): boolean {
  return (value & 0x0f0f) !== 0x0a0a || value >>> 8 !== (value & 0xff);
}

function versionOf(hello: ClientHello): string {
  const offered = hello.supportedVersions.filter(isReal);
  return VERSIONS[offered.length > 0 ? Math.max(...offered) : hello.version] ?? '00';
}

/** Of the first protocol offered; of its hexadecimal form where either end is no letter or digit. */
function firstAndLast(protocol: string): string {
  if (protocol === '') return '00';
  const ends = `${protocol[0]}${protocol.at(-1)}`;
  if (/^[0-9A-Za-z]{2}$/.test(ends)) return ends;
  return `${(ends.charCodeAt(0) >>> 4).toString(16)}${(ends.charCodeAt(1) & 0x0f).toString(16)}`;
}

const twoDigits = (count: number): string => String(Math.min(count, 99)).padStart(2, '0');
const fourHex = (value: number): string => value.toString(16).padStart(4, '0');
const shortHash = (list: string): string => (list === '' ? NO_LIST : hash('sha256', list, 'hex').slice(0, 12));
