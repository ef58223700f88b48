import { KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { setting } from '../shared/settings.ts';

/** Signs a SHA-256 digest with the hub's key, which never leaves KMS: ECDSA on P-256, DER. */
export function awsSigner(): (digest: Uint8Array) => Promise<Uint8Array> {
  const client = new KMSClient({});
  const KeyId = setting(process.env, 'HONEYMESH_SIGNING_KEY');
  return async digest => {
    const { Signature } = await client.send(new SignCommand({ KeyId, Message: digest, MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' }));
    if (Signature === undefined) throw new Error('KMS gave no signature');
    return Signature;
  };
}
