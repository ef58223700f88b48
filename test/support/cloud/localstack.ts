/**
 * LocalStack's open core as a plain process: DynamoDB with streams and their mappings, SQS, KMS, S3, CloudFormation as AWS behaves (batch windows,
 * filters, retries, on-failure). It is made for a container, so it is told that it is in none, and gets three things that it would fetch: DynamoDB Local's
 * jar, a Java, and something that runs functions without Docker (localstack-executor/, at LocalStack's own extension point).
 */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answers, type Emulator, freePorts, startEmulator } from './emulator.ts';
import { type Emulators, ROOT } from './set-up.ts';

export interface LocalStack extends Emulator {
  readonly endpoint: string;
}

export async function startLocalStack(emulators: Emulators, folder: string): Promise<LocalStack> {
  const [port, dynamodbPort] = (await freePorts(2)) as [number, number];
  const endpoint = `http://127.0.0.1:${port}`;
  const files = join(folder, 'files');
  const library = join(files, 'var/lib/localstack/lib');
  await mkdir(join(library, 'dynamodb-local'), { recursive: true });
  await symlink(emulators.dynamodbLocal, join(library, 'dynamodb-local/2'));
  await javaOf(library, emulators.java);
  const environment = {
    // With /.dockerenv on the machine it would take system folders for its own.
    OVERRIDE_IN_DOCKER: '0',
    FILESYSTEM_ROOT: files,
    GATEWAY_LISTEN: `127.0.0.1:${port}`,
    // The default server ignores the address and listens on all.
    GATEWAY_SERVER: 'hypercorn',
    LOCALSTACK_HOST: `localhost:${port}`,
    DYNAMODB_LOCAL_PORT: String(dynamodbPort),
    PYTHONPATH: await executorOf(folder),
    LAMBDA_RUNTIME_EXECUTOR: 'subprocess',
    LAMBDA_SYNCHRONOUS_CREATE: '1',
    DYNAMODB_IN_MEMORY: '1',
    // Else the streams are a mock of Kinesis that is installed at run time.
    PROVIDER_OVERRIDE_DYNAMODB: 'v2',
    PROVIDER_OVERRIDE_DYNAMODBSTREAMS: 'v2',
    DISABLE_EVENTS: '1',
    SKIP_SSL_CERT_DOWNLOAD: '1',
    DNS_ADDRESS: '0',
    DOCKER_HOST: 'unix:///nonexistent',
    HONEYMESH_LAMBDA_NODE: process.execPath,
  };
  const command = [emulators.localstack, '-m', 'localstack.runtime.main'] as const;
  const emulator = await startEmulator({ name: 'localstack', command, folder, environment, ready: () => answers(`${endpoint}/_localstack/health`) });
  return { ...emulator, endpoint };
}

/** It wants a JDK of its own in this place, and hands it a Java agent that it would download. */
async function javaOf(library: string, java: string): Promise<void> {
  const folder = join(library, 'java/21/bin');
  const script = [
    '#!/bin/bash',
    'arguments=()',
    'for argument in "$@"; do [[ $argument == -javaagent:*ddb-local-loader* ]] || arguments+=("$argument"); done',
    `exec "${java}" -Xmx256m "\${arguments[@]}"`,
  ];
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'java'), `${script.join('\n')}\n`);
  await chmod(join(folder, 'java'), 0o755);
}

/** A Python package that is not installed but found: what Python asks for are two files beside it. */
async function executorOf(folder: string): Promise<string> {
  const path = join(folder, 'executor');
  const about = join(path, 'honeymesh_executor-1.0.dist-info');
  await mkdir(about, { recursive: true });
  await writeFile(join(about, 'METADATA'), 'Metadata-Version: 2.1\nName: honeymesh-executor\nVersion: 1.0\n');
  await writeFile(join(about, 'entry_points.txt'), '[localstack.lambda.runtime_executor]\nsubprocess = honeymesh_executor:SubprocessExecutorPlugin\n');
  const source = join(ROOT, 'test/support/cloud/localstack-executor');
  for (const file of ['honeymesh_executor.py', 'function-child.cjs']) await symlink(join(source, file), join(path, file));
  return path;
}
