/** HASSH: the fingerprint of an SSH client by the algorithms that it offers (Salesforce, "HASSH"). */
import { hash } from 'node:crypto';
import type { KexInit } from './kexinit.ts';

/** What is hashed: the client's own direction only. */
export function hasshAlgorithms({ kex, encryptionToServer, macToServer, compressionToServer }: KexInit): string {
  return `${kex};${encryptionToServer};${macToServer};${compressionToServer}`;
}

/** MD5 because the specification says so: it names, it protects nothing. */
export const hassh = (kexInit: KexInit): string => hash('md5', hasshAlgorithms(kexInit), 'hex');
