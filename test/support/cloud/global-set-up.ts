/**
 * Runs once for the suite `cloud`: sets the emulators up, synthesises the hub with its real code, starts both emulators and deploys the same template onto
 * each. Takes all of it down again, also where a test or this file fails (and where the process is killed: keeper.ts).
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestProject } from 'vitest/node';
import { createHub } from '#infra/hub.ts';
import { accessTo, type Deployment, deploy } from './deployment.ts';
import { startLocalStack } from './localstack.ts';
import { startMiniStack } from './ministack.ts';
import { oneLocalStack } from './one-localstack.ts';
import type { Cloud } from './provided.ts';
import { type Emulators, setUpEmulators } from './set-up.ts';

/** Tests speak of addresses that are documentation's; a real hub refuses them. */
const NEVER_ADVISED = '10.0.0.0/8,127.0.0.0/8,169.254.0.0/16,fe80::/10';

const log = (line: string): void => console.log(`cloud: ${line}`);
const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

const running: { stop(): Promise<unknown> }[] = [];

export async function setup(project: TestProject): Promise<void> {
  const ready = await setUpEmulators(log);
  if (!ready.ok) {
    const why = `the suite cloud cannot run here, it lacks ${ready.missing}`;
    if (process.env.CI === 'true') throw new Error(why);
    console.warn(`\n*** SKIPPED: ${why}\n`);
    project.provide('cloud', ready.missing);
    return;
  }
  try {
    project.provide('cloud', await deployed(ready.emulators));
  } catch (error) {
    await teardown();
    throw error;
  }
}

export async function teardown(): Promise<void> {
  // What was started last goes first: the folder is the emulators'.
  for (const each of running.splice(0).reverse()) await each.stop();
}

async function deployed(emulators: Emulators): Promise<Cloud> {
  const folder = await mkdtemp(join(tmpdir(), 'honeymesh-cloud-'));
  running.push({ stop: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) });
  const started = Date.now();
  // They come up in processes of their own, while this one synthesises.
  const starting = start(emulators, folder);
  starting.catch(() => {});
  await delay(100);
  const trust = newTrust();
  const context = { ...trust.context, neverAdvised: NEVER_ADVISED, enforceSsl: 'false', runtime: emulators.runtime };
  const { app, stack } = createHub({ outdir: join(folder, 'assembly'), context });
  const assembly = app.synth().directory;
  log(`synthesised after ${seconds(started)}`);
  const { broker, tables } = await starting;
  log(`emulators are up after ${seconds(started)}`);
  const onto = async ({ name, endpoint }: { readonly name: string; readonly endpoint: string }): Promise<Deployment> => {
    const deployment = await deploy(assembly, stack.stackName, accessTo(endpoint));
    log(`deployed onto ${name} in ${deployment.seconds.toFixed(1)} s`);
    return deployment;
  };
  const there = onto(broker);
  const [atBroker, atTables] = await Promise.all([there, tables === null ? there : onto(tables)]);
  return {
    ministack: { ...broker, outputs: atBroker.outputs, resources: atBroker.resources },
    localstack: { endpoint: (tables ?? broker).endpoint, outputs: atTables.outputs, resources: atTables.resources },
    mosquitto: emulators.mosquitto,
    assembly,
    rootSecret: trust.rootSecret,
    cluster: trust.context.cluster,
  };
}

interface Started {
  readonly broker: { readonly name: string; readonly endpoint: string; readonly mqttHost: string; readonly mqttPort: number; readonly ca: string };
  /** Null: the broker's emulator has them too. */
  readonly tables: { readonly name: string; readonly endpoint: string } | null;
}

async function start(emulators: Emulators, folder: string): Promise<Started> {
  const only = process.env.HONEYMESH_LOCALSTACK_ENDPOINT;
  if (only !== undefined && only !== '') return { broker: { name: only, ...(await oneLocalStack(only)) }, tables: null };
  const kept = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const emulator = await starting;
    running.push(emulator);
    return emulator;
  };
  // Whatever came up is stopped, also where its neighbour did not.
  const [ministack, localstack] = await Promise.allSettled([kept(startMiniStack(emulators, folder)), kept(startLocalStack(emulators, folder))]);
  if (ministack.status === 'rejected') throw ministack.reason;
  if (localstack.status === 'rejected') throw localstack.reason;
  const { endpoint, mqttPort, ca } = ministack.value;
  return { broker: { name: 'MiniStack', endpoint, mqttHost: 'localhost', mqttPort, ca }, tables: { name: 'LocalStack', endpoint: localstack.value.endpoint } };
}

function newTrust(): { readonly rootSecret: string; readonly context: { readonly cluster: string; readonly root: string } } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = (encoded: Buffer): string => encoded.subarray(-32).toString('hex');
  return {
    rootSecret: raw(privateKey.export({ format: 'der', type: 'pkcs8' })),
    context: { cluster: randomBytes(16).toString('hex'), root: raw(publicKey.export({ format: 'der', type: 'spki' })) },
  };
}
