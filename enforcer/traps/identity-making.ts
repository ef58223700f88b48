/** A new identity: fresh keys, and a certificate as an administrator made it some time ago. Its parts are loaded when they are needed: once in a host's life. */
import { randomBytes, type webcrypto } from 'node:crypto';
import { DAY_MS, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { TrapIdentity } from './messages.ts';
import { createPersona, type Persona, SEED_BYTES } from './protocols/persona.ts';

const RSA_BITS = 2048;
const SSH_RSA_BITS = 3072; // ssh-keygen's default since OpenSSH 8.0
const SERIAL_BYTES = 20; // what "openssl req -x509" draws

/** `now`: the certificate is older than that, by an age that hangs on the seed. */
export async function makeIdentity(now: UnixMs, seed: Buffer = randomBytes(SEED_BYTES)): Promise<TrapIdentity> {
  const persona = createPersona(seed);
  const [tls, sshHostKeys] = await Promise.all([makeTls(persona, now), makeSshKeys(persona)]);
  return { seed: seed.toString('base64'), ...tls, sshHostKeys };
}

async function makeTls(persona: Persona, now: UnixMs): Promise<{ readonly tlsKey: string; readonly tlsCertificate: string }> {
  await import('reflect-metadata'); // before x509, which does not work without
  const x509 = await import('@peculiar/x509');
  const rsa = persona.pick('tls-key', ['rsa', 'rsa', 'p256']) === 'rsa';
  const algorithm = rsa
    ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: RSA_BITS, publicExponent: Uint8Array.of(1, 0, 1) }
    : { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const { commonName, organisation, country } = persona.certificate;
  const years = persona.pick('certificate-years', [10, 10, 5, 3]);
  // Old enough to have been there, young enough to hold; to the second, as no script of ours would have it.
  const notBefore = new Date(
    now - persona.between('certificate-age-days', 40, 700) * DAY_MS - persona.between('certificate-age-seconds', 0, 86_399) * SECOND_MS,
  );
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialFrom(randomBytes(SERIAL_BYTES)),
    name: `C=${country}, O=${organisation}, CN=${commonName}`,
    notBefore: wholeSeconds(notBefore),
    notAfter: wholeSeconds(new Date(notBefore.getTime() + years * 365 * DAY_MS)),
    signingAlgorithm: rsa ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } : { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: [
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: persona.fullName },
        { type: 'dns', value: persona.hostName },
      ]),
    ],
  });
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { tlsKey: x509.PemConverter.encode(key, 'PRIVATE KEY'), tlsCertificate: certificate.toString('pem') };
}

async function makeSshKeys(persona: Persona): Promise<readonly string[]> {
  const { default: ssh2 } = await import('ssh2');
  const comment = `root@${persona.hostName}`;
  const make = (type: 'rsa' | 'ecdsa' | 'ed25519', bits?: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const done = (error: Error | null, keys: { readonly private: string }): void => (error === null ? resolve(keys.private) : reject(error));
      if (bits === undefined) ssh2.utils.generateKeyPair('ed25519', { comment }, done);
      else if (type === 'rsa') ssh2.utils.generateKeyPair('rsa', { bits, comment }, done);
      else ssh2.utils.generateKeyPair('ecdsa', { bits: 256, comment }, done);
    });
  return await Promise.all([make('rsa', SSH_RSA_BITS), make('ecdsa', 256), make('ed25519')]);
}

/** Positive, and without a leading zero (X.690, 8.3.2). */
function serialFrom(bytes: Buffer): string {
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

const wholeSeconds = (date: Date): Date => new Date(Math.floor(date.getTime() / 1000) * 1000);
