/** The hub's functions as cloud/functions/functions.ts lists them: code, rights, settings, what invokes them, where their failures go. */
import { Duration } from 'aws-cdk-lib';
import { Policy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, EventInvokeConfig, Function as LambdaFunction, LoggingFormat, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { FUNCTIONS, type FunctionName, type FunctionSpec } from '../../cloud/functions/functions.ts';
import { TABLES, type TableName } from '../../cloud/store/tables.ts';
import type { Bundle } from '../bundle.ts';
import { functionSettings } from '../function-settings.ts';
import type { HubSettings } from '../settings.ts';
import { acknowledge } from './acknowledge.ts';
import { type Ground, rightsOf } from './rights.ts';
import { removal } from './store.ts';

export type Functions = Readonly<Record<FunctionName, LambdaFunction>>;

/** An event waits for its function at most so long; IoT delivers as late by itself where functions are throttled. */
const OLDEST_EVENT = Duration.hours(6);

export function createFunctions(scope: Construct, settings: HubSettings, ground: Ground, bundle: Bundle): Functions {
  const all = new Construct(scope, 'Functions');
  const made = (Object.entries(FUNCTIONS) as [FunctionName, FunctionSpec][]).map(
    ([name, spec]) => [name, createFunction(new Construct(all, name), name, spec, settings, ground, bundle)] as const,
  );
  return Object.fromEntries(made) as unknown as Functions;
}

function createFunction(scope: Construct, name: FunctionName, spec: FunctionSpec, settings: HubSettings, ground: Ground, bundle: Bundle): LambdaFunction {
  const logs = new LogGroup(scope, 'Logs', { retention: settings.logDays as RetentionDays, removalPolicy: removal(settings) });
  const role = new Role(scope, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  const rights = new Policy(scope, 'Rights', { roles: [role], statements: rightsOf(scope, name, spec, ground) });
  logs.grantWrite(role);
  const made = new LambdaFunction(scope, 'Function', {
    description: `${settings.name}: ${name}`,
    runtime: settings.runtime === 'nodejs24.x' ? Runtime.NODEJS_24_X : Runtime.NODEJS_22_X,
    architecture: settings.architecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
    code: Code.fromAsset(bundle(name, spec.entry, settings.runtime === 'nodejs24.x' ? 24 : 22)),
    handler: 'index.handler',
    memorySize: spec.memoryMb,
    timeout: Duration.seconds(spec.timeoutSeconds),
    environment: {
      ...functionSettings(spec.settings, settings, { signingKey: ground.signer.keyArn, bucket: ground.exchange.name }),
      ...Object.fromEntries((Object.keys(spec.tables) as TableName[]).map(table => [TABLES[table].environment, ground.tables[table].tableName])),
    },
    ...(settings.reserveConcurrency && spec.reservedConcurrency !== undefined ? { reservedConcurrentExecutions: spec.reservedConcurrency } : {}),
    role,
    logGroup: logs,
    loggingFormat: LoggingFormat.JSON,
  });
  made.node.addDependency(rights);
  if (settings.runtime !== 'nodejs24.x') acknowledge(made, 'L1', 'Chosen by the operator, for a region that has no newer one.');
  // A stream's failures are the mapping's to handle, the hook's answer is waited for; all others are invoked and left.
  if (spec.sources.some(({ kind }) => kind !== 'stream' && kind !== 'provisioning-hook')) {
    new EventInvokeConfig(scope, 'Failures', {
      function: made,
      maxEventAge: OLDEST_EVENT,
      retryAttempts: 2,
      onFailure: new SqsDestination(ground.failures.functions),
    });
  }
  return made;
}
