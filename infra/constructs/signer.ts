/** The key that signs advisories. It never leaves KMS; hosts pin its public half (`hub.signers`), two of them during a rotation. */
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import type { HubSettings } from '../settings.ts';
import { removal } from './store.ts';

export function createSigner(scope: Construct, settings: HubSettings): Key {
  return new Key(scope, 'Signer', {
    description: `Signs the advisories of ${settings.name}`,
    alias: `alias/${settings.name}-signer`,
    keySpec: KeySpec.ECC_NIST_P256,
    keyUsage: KeyUsage.SIGN_VERIFY,
    removalPolicy: removal(settings),
  });
}
