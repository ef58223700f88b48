/** Keys and certificates of hosts: P-256, as IoT takes them. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Identity } from './mqtt.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

x509.cryptoProvider.set(webcrypto as never);

const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

const pemOf = async ({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> => {
  const key = await webcrypto.subtle.exportKey('pkcs8', privateKey as never);
  return `-----BEGIN PRIVATE KEY-----\n${Buffer.from(key).toString('base64').replace(/.{64}/g, '$&\n').trim()}\n-----END PRIVATE KEY-----\n`;
};

/** A request for a certificate, and the key that stays where it was made. */
export async function newRequest(name: string): Promise<{ readonly csr: string; readonly key: string }> {
  const keys = await newKeys();
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name: `CN=${name}`, keys, signingAlgorithm: ALGORITHM });
  return { csr: csr.toString('pem'), key: await pemOf(keys) };
}

export interface Authority {
  readonly ca: string;
  /** A certificate for a name; `server`: for localhost. */
  issue(name: string, server?: boolean): Promise<Identity>;
}

export async function newAuthority(name: string): Promise<Authority> {
  const keys = await newKeys();
  const dates = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) };
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    ...dates,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    ca: own.toString('pem'),
    async issue(subject, server = false) {
      const subjectKeys = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: own.subject,
        publicKey: subjectKeys.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        ...dates,
        extensions: server ? [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }])] : [],
      });
      return { certificate: certificate.toString('pem'), key: await pemOf(subjectKeys) };
    },
  };
}
