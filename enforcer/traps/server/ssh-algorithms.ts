/**
 * What the sshd of each release offers in its first message, in its order: scanners know a server by that (hasshServer) as well as by its name. Debian and
 * Ubuntu ship OpenSSH's defaults, with the fix of Terrapin (kex-strict) in the versions of persona-releases.ts; Rocky Linux the policy DEFAULT of its
 * crypto-policies.
 */
import type { Release } from '../protocols/persona-releases.ts';

export interface SshOffer {
  readonly kex: readonly string[];
  readonly hostKeys: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
  readonly compression: readonly string[];
  /** What EXT_INFO (RFC 8308) says of keys, and what else it says; in order. */
  readonly extensions: readonly (readonly [name: string, value: string])[];
}

export const HYBRID = 'sntrup761x25519-sha512@openssh.com';
const STRICT = 'kex-strict-s-v00@openssh.com';
const CURVES = ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521'];
const GROUPS = ['diffie-hellman-group-exchange-sha256', 'diffie-hellman-group16-sha512', 'diffie-hellman-group18-sha512', 'diffie-hellman-group14-sha256'];
const RHEL_GROUPS = ['diffie-hellman-group-exchange-sha256', 'diffie-hellman-group14-sha256', 'diffie-hellman-group16-sha512', 'diffie-hellman-group18-sha512'];
const SHA1_GROUPS = ['diffie-hellman-group-exchange-sha1', 'diffie-hellman-group14-sha1'];

const KEYS = ['rsa-sha2-512', 'rsa-sha2-256', 'ecdsa-sha2-nistp256', 'ssh-ed25519'];
const KEYS_WITH_SHA1 = ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'ssh-ed25519'];

const CIPHERS = ['chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];
const RHEL_9_CIPHERS = ['aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes256-ctr', 'aes128-gcm@openssh.com', 'aes128-ctr'];
const RHEL_8_CIPHERS = [
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes256-ctr',
  'aes256-cbc',
  'aes128-gcm@openssh.com',
  'aes128-ctr',
  'aes128-cbc',
];

const MACS = [
  ...['umac-64-etm@openssh.com', 'umac-128-etm@openssh.com', 'hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha1-etm@openssh.com'],
  ...['umac-64@openssh.com', 'umac-128@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512', 'hmac-sha1'],
];
const RHEL_MACS = [
  ...['hmac-sha2-256-etm@openssh.com', 'hmac-sha1-etm@openssh.com', 'umac-128-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  ...['hmac-sha2-256', 'hmac-sha1', 'umac-128@openssh.com', 'hmac-sha2-512'],
];

const NIST_KEYS = 'ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521';
const SK_KEYS = 'sk-ecdsa-sha2-nistp256@openssh.com';
const WEBAUTHN_KEYS = 'webauthn-sk-ecdsa-sha2-nistp256@openssh.com';
const RSA_FIRST = 'ssh-rsa,rsa-sha2-256,rsa-sha2-512,ssh-dss';
const SIGNATURES_8_0 = `ssh-ed25519,${RSA_FIRST},${NIST_KEYS}`;
const SIGNATURES_8_4 = `ssh-ed25519,sk-ssh-ed25519@openssh.com,${RSA_FIRST},${NIST_KEYS},${SK_KEYS}`;
const SIGNATURES_8_9 = `${SIGNATURES_8_4},${WEBAUTHN_KEYS}`;
const SIGNATURES_9_2 = `ssh-ed25519,sk-ssh-ed25519@openssh.com,${NIST_KEYS},${SK_KEYS},${WEBAUTHN_KEYS},ssh-dss,ssh-rsa,rsa-sha2-256,rsa-sha2-512`;
const SIGNATURES_9_6 = `ssh-ed25519,${NIST_KEYS},sk-ssh-ed25519@openssh.com,${SK_KEYS},rsa-sha2-512,rsa-sha2-256`;
const HOSTBOUND = ['publickey-hostbound@openssh.com', '0'] as const;
const PING = ['ping@openssh.com', '0'] as const;

const DEFAULTS = { hostKeys: KEYS, ciphers: CIPHERS, macs: MACS, compression: ['none', 'zlib@openssh.com'] };

const OFFERS: Readonly<Record<string, SshOffer>> = {
  '9.6': {
    ...DEFAULTS,
    kex: [HYBRID, ...CURVES, ...GROUPS, 'ext-info-s', STRICT],
    extensions: [['server-sig-algs', SIGNATURES_9_6], HOSTBOUND, PING],
  },
  '9.2': { ...DEFAULTS, kex: [HYBRID, ...CURVES, ...GROUPS, STRICT], extensions: [['server-sig-algs', SIGNATURES_9_2], HOSTBOUND] },
  '8.9': { ...DEFAULTS, kex: [...CURVES, HYBRID, ...GROUPS, STRICT], extensions: [['server-sig-algs', SIGNATURES_8_9], HOSTBOUND] },
  '8.7': {
    ...DEFAULTS,
    kex: [...CURVES, ...RHEL_GROUPS, STRICT],
    ciphers: RHEL_9_CIPHERS,
    macs: RHEL_MACS,
    extensions: [['server-sig-algs', SIGNATURES_8_9]],
  },
  '8.4': { ...DEFAULTS, kex: [...CURVES, ...GROUPS, STRICT], hostKeys: KEYS_WITH_SHA1, extensions: [['server-sig-algs', SIGNATURES_8_4]] },
  '8.0': {
    ...DEFAULTS,
    kex: [...CURVES, ...RHEL_GROUPS, ...SHA1_GROUPS, STRICT],
    hostKeys: KEYS_WITH_SHA1,
    ciphers: RHEL_8_CIPHERS,
    macs: RHEL_MACS,
    extensions: [['server-sig-algs', SIGNATURES_8_0]],
  },
};

/** The offer of a release's sshd, by the version in its name. */
export function offerOf({ versions }: Release): SshOffer {
  const version = /^OpenSSH_(\d+\.\d+)/.exec(versions.ssh)?.[1] ?? '';
  const offer = OFFERS[version];
  if (offer === undefined) throw new Error(`no SSH offer is known for ${versions.ssh}`);
  return offer;
}

/** The ten name-lists of its KEXINIT; host keys that we have none of are left out, as sshd does. */
export function listsOf(offer: SshOffer, hostKeyAlgorithms: readonly string[]): readonly string[] {
  const ciphers = offer.ciphers.join(',');
  const macs = offer.macs.join(',');
  const compression = offer.compression.join(',');
  const hostKeys = offer.hostKeys.filter(algorithm => hostKeyAlgorithms.includes(algorithm)).join(',');
  return [offer.kex.join(','), hostKeys, ciphers, ciphers, macs, macs, compression, compression, '', ''];
}
