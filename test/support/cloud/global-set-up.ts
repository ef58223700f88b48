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
import { accessTo, deploy } from './deployment.ts';
import type { Emulator } from './emulator.ts';
import { startLocalStack } from './localstack.ts';
import { startMiniStack } from './ministack.ts';
import type { Cloud } from './provided.ts';
import { setUpEmulators } from './set-up.ts';

/** Tests speak of addresses that are documentation's; a real hub refuses them. */
const NEVER_ADVISED = '10.0.0.0/8,127.0.0.0/8,169.254.0.0/16,fe80::/10';

const log = (line: string): void => console.log(`cloud: ${line}`);

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
    const folder = await mkdtemp(join(tmpdir(), 'honeymesh-cloud-'));
    running.push({ stop: () => rm(folder, { recursive: true, force: true }) });
    const started = Date.now();
    // They come up in processes of their own, while this one synthesises.
    const starting = Promise.all([kept(startMiniStack(ready.emulators, folder)), kept(startLocalStack(ready.emulators, folder))]);
    starting.catch(() => {});
    await delay(100);
    const trust = newTrust();
    const context = { ...trust.context, neverAdvised: NEVER_ADVISED, enforceSsl: 'false', runtime: ready.emulators.runtime };
    const { app, stack } = createHub({ outdir: join(folder, 'assembly'), context });
    const assembly = app.synth().directory;
    log(`synthesised after ${seconds(started)}`);
    const [ministack, localstack] = await starting;
    log(`emulators are up after ${seconds(started)}`);
    const onto = async (name: string, endpoint: string) => {
      const deployment = await deploy(assembly, stack.stackName, accessTo(endpoint));
      log(`deployed onto ${name} in ${deployment.seconds.toFixed(1)} s`);
      return deployment;
    };
    const [there, here] = await Promise.all([onto('MiniStack', ministack.endpoint), onto('LocalStack', localstack.endpoint)]);
    const cloud: Cloud = {
      ministack: { ...there, endpoint: ministack.endpoint, logFile: ministack.logFile, mqttPort: ministack.mqttPort, ca: ministack.ca },
      localstack: { ...here, endpoint: localstack.endpoint, logFile: localstack.logFile },
      mosquitto: ready.emulators.mosquitto,
      assembly,
      rootSecret: trust.rootSecret,
      cluster: trust.context.cluster,
    };
    project.provide('cloud', cloud);
  } catch (error) {
    await teardown();
    throw error;
  }
}

export async function teardown(): Promise<void> {
  // What was started last goes first: the folder is the emulators'.
  for (const each of running.splice(0).reverse()) await each.stop();
}

/** Whatever was started is stopped, also where its neighbour did not start. */
async function kept<T extends Emulator>(starting: Promise<T>): Promise<T> {
  const emulator = await starting;
  running.push(emulator);
  return emulator;
}

function newTrust(): { readonly rootSecret: string; readonly context: { readonly cluster: string; readonly root: string } } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = (encoded: Buffer): string => encoded.subarray(-32).toString('hex');
  return {
    rootSecret: raw(privateKey.export({ format: 'der', type: 'pkcs8' })),
    context: { cluster: randomBytes(16).toString('hex'), root: raw(publicKey.export({ format: 'der', type: 'spki' })) },
  };
}

const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;
