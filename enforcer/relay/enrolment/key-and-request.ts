/** A key for IoT, made where it stays, and the request for its certificate. P-256: IoT takes RSA or NIST curves only. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { Pkcs10CertificateRequestGenerator, X509Certificate } from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface KeyAndRequest {
  /** PKCS #8, PEM. */
  readonly key: string;
  /** PEM. */
  readonly request: string;
}

export async function newKeyAndRequest(name: string): Promise<KeyAndRequest> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const request = await Pkcs10CertificateRequestGenerator.create({ name: `CN=${name}`, keys: keys as never, signingAlgorithm: ALGORITHM }, webcrypto as never);
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { key: `-----BEGIN PRIVATE KEY-----\n${bytes.replace(/.{64}/g, '$&\n').trim()}\n-----END PRIVATE KEY-----\n`, request: request.toString('pem') };
}

/** The roots under which IoT's endpoints are certified, as Node has them: a minimal system has none of its own. */
export function amazonRoots(): string {
  return rootCertificates
    .filter(pem => /CN=Amazon Root CA \d/.test(new X509Certificate(pem).subject))
    .map(pem => `${pem.trim()}\n`)
    .join('');
}
