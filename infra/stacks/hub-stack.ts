/** The hub: everything that it needs in one stack, put together here and nowhere else. */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Bundle } from '../bundle.ts';
import { createAlarms } from '../constructs/alarms.ts';
import { createDashboard } from '../constructs/dashboard.ts';
import { createFailures } from '../constructs/failures.ts';
import { createFunctions } from '../constructs/functions.ts';
import { createHosts } from '../constructs/hosts.ts';
import { createSigner } from '../constructs/signer.ts';
import { connectSources } from '../constructs/sources.ts';
import { createExchange, createTables } from '../constructs/store.ts';
import type { HubSettings } from '../settings.ts';

export class HubStack extends Stack {
  constructor(scope: Construct, id: string, { settings, bundle, ...props }: StackProps & { readonly settings: HubSettings; readonly bundle: Bundle }) {
    super(scope, id, props);
    const failures = createFailures(this, settings);
    const ground = { tables: createTables(this, settings), exchange: createExchange(this, settings), signer: createSigner(this, settings), failures };
    const functions = createFunctions(this, settings, ground, bundle);
    connectSources(this, settings, functions, ground);
    const hosts = createHosts(this, settings, functions['provisioning-hook']);
    createDashboard(this, settings, functions, failures, createAlarms(this, settings, functions, failures));
    // outputs.ts reads these, and turns the key into what hosts pin.
    for (const [name, value] of Object.entries({
      HostPolicy: hosts.policy.ref,
      ClaimPolicy: hosts.claimPolicy.ref,
      ProvisioningTemplate: hosts.template.ref,
      ThingType: hosts.type.ref,
      SigningKey: ground.signer.keyArn,
      CodesTable: ground.tables.codes.tableName,
      PeersTable: ground.tables.peers.tableName,
      FailedFunctions: failures.functions.queueUrl,
      FailedRules: failures.rules.queueUrl,
      Cluster: settings.cluster,
    })) {
      new CfnOutput(this, name, { value });
    }
  }
}
