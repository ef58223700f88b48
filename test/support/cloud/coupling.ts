/**
 * Couples the two emulators into one cloud: MiniStack's broker and rules, LocalStack's tables, streams, mappings, queues and key. Both run the template as it
 * is; only variables of functions change after it is deployed, and change back. A function's own variables win over an emulator's in both.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { GetFunctionConfigurationCommand, LambdaClient, UpdateFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import type { FunctionName } from '#cloud/functions/functions.ts';
import { accessTo } from './deployment.ts';
import type { Cloud, Deployed } from './provided.ts';

/** The physical name of a function. */
export function functionName({ resources }: Deployed, name: FunctionName): string {
  const [, physical] = Object.entries(resources).find(([logical]) => logical.startsWith(`Functions${name.replaceAll('-', '')}Function`)) ?? [];
  if (physical === undefined) throw new Error(`no function ${name} was deployed`);
  return physical;
}

type Variables = Readonly<Record<string, string>>;

export async function variablesOf(deployed: Deployed, name: FunctionName): Promise<Variables> {
  const client = new LambdaClient(accessTo(deployed.endpoint));
  const { Environment } = await client.send(new GetFunctionConfigurationCommand({ FunctionName: functionName(deployed, name) }));
  return Environment?.Variables ?? {};
}

/** Sets a function's variables and waits until they are in force; its next start is a cold one. */
export async function setVariables(deployed: Deployed, name: FunctionName, variables: Variables): Promise<void> {
  const client = new LambdaClient(accessTo(deployed.endpoint));
  const FunctionName = functionName(deployed, name);
  await client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment: { Variables: { ...variables } } }));
  for (let round = 0; round < 100; round++) {
    const { LastUpdateStatus } = await client.send(new GetFunctionConfigurationCommand({ FunctionName }));
    if (LastUpdateStatus === undefined || LastUpdateStatus === 'Successful') return;
    await delay(100);
  }
  throw new Error(`the variables of ${name} are not in force after 10 s`);
}

/** What hosts talk to, and what the hub makes of it. */
const AT_THE_BROKER = ['ingest', 'answers', 'heartbeat', 'lifecycle'] as const satisfies readonly FunctionName[];
const AT_THE_TABLES = ['fan-out', 'digest', 'receipts'] as const satisfies readonly FunctionName[];

export async function couple({ ministack, localstack }: Cloud): Promise<AsyncDisposable> {
  // One LocalStack that has all needs no coupling.
  if (ministack.endpoint === localstack.endpoint) return { async [Symbol.asyncDispose]() {} };
  const before: { readonly deployed: Deployed; readonly name: FunctionName; readonly variables: Variables }[] = [];
  const change = async (deployed: Deployed, name: FunctionName, more: Variables): Promise<void> => {
    const variables = await variablesOf(deployed, name);
    before.push({ deployed, name, variables });
    await setVariables(deployed, name, { ...variables, ...more });
  };
  for (const name of AT_THE_BROKER) {
    const there = await variablesOf(localstack, name);
    const ours = Object.fromEntries(Object.entries(there).filter(([key]) => key.startsWith('HONEYMESH_')));
    await change(ministack, name, {
      ...ours,
      AWS_ENDPOINT_URL_DYNAMODB: localstack.endpoint,
      AWS_ENDPOINT_URL_KMS: localstack.endpoint,
      AWS_ENDPOINT_URL_S3: localstack.endpoint,
    });
  }
  for (const name of AT_THE_TABLES) await change(localstack, name, { AWS_ENDPOINT_URL_IOT_DATA_PLANE: ministack.endpoint });
  return {
    async [Symbol.asyncDispose]() {
      for (const { deployed, name, variables } of before.reverse()) await setVariables(deployed, name, variables);
    },
  };
}
