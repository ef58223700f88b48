/**
 * Who this host pretends to be: one operating system, the versions that ship with it, one name, drawn from a stable seed. Each draw hangs on the seed
 * and its own label, so that a release which adds one leaves all others as they were: a host that changes its versions overnight is no host.
 */
import { createHash } from 'node:crypto';
import { DAY_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { RELEASES, type Release, type Versions } from './persona-releases.ts';

export interface Persona {
  readonly release: Release;
  readonly versions: Versions;
  /** Short name, such as `web03`. */
  readonly hostName: string;
  /** Such as `web03.corp.internal`; the common name of the certificate. */
  readonly fullName: string;
  readonly domain: string;
  readonly certificate: CertificateSubject;
  /** Which of several programs serves a protocol here. */
  readonly software: Software;
  /** The one pair that a neglected host of this kind still has: a guesser who tries the common ones gets in, one who tries anything does not. */
  readonly weakLogin: { readonly user: string; readonly secret: string };
  /** When the service `label` was last started, as seen at `at`: weeks ago, and the same until the next start. */
  startedAt(label: string, at: UnixMs): UnixMs;
  /** The same bytes on each call, different for each label: machine ids, GUIDs, salts of this host. At most 32. */
  bytes(label: string, length: number): Uint8Array;
  /** The same choice on each call. */
  pick<T>(label: string, choices: readonly [T, ...T[]]): T;
  /** The same whole number on each call, from `least` up to and with `most`. */
  between(label: string, least: number, most: number): number;
}

export interface CertificateSubject {
  readonly commonName: string;
  readonly organisation: string;
  /** Two letters. */
  readonly country: string;
}

export interface Software {
  readonly ftp: 'vsftpd' | 'proftpd' | 'pure-ftpd';
  readonly smtp: 'postfix' | 'exim';
  readonly http: 'apache' | 'nginx';
  readonly mysql: 'mariadb' | 'mysql';
}

export const SEED_BYTES = 32;

const ROLES = ['web', 'app', 'db', 'srv', 'node', 'files', 'mail', 'build', 'core', 'edge', 'intra', 'store'] as const;
const DOMAINS = ['corp.internal', 'prod.internal', 'lan', 'intra.lan', 'office.lan', 'dc1.internal', 'dc2.internal', 'int.lan'] as const;
const ORGANISATIONS = ['IT Operations', 'Infrastructure', 'Network Services', 'Platform Team', 'Systems', 'Internal CA'] as const;
const COUNTRIES = ['DE', 'FR', 'NL', 'GB', 'US', 'SE', 'IT', 'ES', 'PL', 'CA'] as const;

type Login = readonly [user: string, secret: string];

const WEAK_LOGINS: readonly [Login, ...Login[]] = [
  ['root', 'root'],
  ['root', '123456'],
  ['root', 'password'],
  ['root', 'toor'],
  ['admin', 'admin'],
  ['admin', 'admin123'],
  ['user', 'user'],
  ['test', 'test'],
  ['support', 'support'],
  ['guest', 'guest'],
];
const UP_DAYS = 47; // services of a host that is patched now and then

/** The persona of `seed`: 32 bytes that stay the same for the life of this host and are known to nobody else. */
export function createPersona(seed: Uint8Array): Persona {
  const bytes = (label: string, length: number): Uint8Array => createHash('sha256').update(seed).update(`persona:${label}`).digest().subarray(0, length);
  const number = (label: string): number => Buffer.from(bytes(label, 6)).readUIntBE(0, 6);
  const pick = <T>(label: string, choices: readonly [T, ...T[]]): T => choices[number(label) % choices.length] ?? choices[0];
  const between = (label: string, least: number, most: number): number => least + (number(label) % (most - least + 1));

  const release = pick('release', RELEASES);
  const hostName = `${pick('role', ROLES)}${pick('number-style', ['', '0', '-0'])}${between('number', 1, 9)}`;
  const domain = pick('domain', DOMAINS);
  const [user, secret] = pick('weak-login', WEAK_LOGINS);
  const fullName = `${hostName}.${domain}`;
  return {
    release,
    versions: release.versions,
    hostName,
    fullName,
    domain,
    certificate: { commonName: fullName, organisation: pick('organisation', ORGANISATIONS), country: pick('country', COUNTRIES) },
    software: {
      ftp: release.family === 'rhel' ? 'vsftpd' : pick('ftp', ['vsftpd', 'proftpd', 'pure-ftpd']),
      smtp: release.family === 'rhel' ? 'postfix' : pick('smtp', ['postfix', 'exim']),
      http: pick('http', ['apache', 'nginx']),
      mysql: release.versions.mysql === null ? 'mariadb' : pick('mysql', ['mariadb', 'mysql']),
    },
    weakLogin: { user, secret },
    startedAt(label, at) {
      const period = UP_DAYS * DAY_MS;
      const offset = number(`started:${label}`) % period;
      return unixMs(Math.floor((at - offset) / period) * period + offset);
    },
    bytes,
    pick,
    between,
  };
}

/** `make`, called once for each persona: draws cost a hash each, and connections come by the thousand. */
export function oncePerPersona<T>(make: (persona: Persona) => T): (persona: Persona) => T {
  const made = new WeakMap<Persona, { readonly value: T }>();
  return persona => {
    let known = made.get(persona);
    if (known === undefined) {
      known = { value: make(persona) };
      made.set(persona, known);
    }
    return known.value;
  };
}
