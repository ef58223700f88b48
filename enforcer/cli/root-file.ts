/** The offline root on the command line's side: made or opened in this process, used for one signature, never told to the daemon. */
import { randomBytes } from 'node:crypto';
import { open, readFile, stat, unlink } from 'node:fs/promises';
import { HoneyMeshError } from '../errors.ts';
import { LONGEST_ROOT_FILE, type MeshRoot, openRoot, type RootFileFailure, readRootFile, sealRoot } from '../mesh/registrar/root-file.ts';
import { usage } from './failures.ts';

export async function existsFile(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The text of a root file and whose it is; the passphrase comes later. */
export async function readRoot(path: string): Promise<{ readonly text: string; readonly clusterId: Uint8Array; readonly rootPublic: Uint8Array }> {
  const text = await read(path);
  const head = readRootFile(text);
  if (!head.ok) throw rootError(path, head.why);
  return { text, ...head.value };
}

export async function unlock(path: string, text: string, passphrase: string): Promise<MeshRoot> {
  const root = await openRoot(text, passphrase);
  if (!root.ok) throw rootError(path, root.why);
  return root.value;
}

/** A new root in a new file (0600, on the disk when this resolves). What is there already is never overwritten. */
export async function makeRoot(path: string, passphrase: string, cost?: number): Promise<{ readonly root: MeshRoot; readonly remove: () => Promise<void> }> {
  const root = { clusterId: Uint8Array.from(randomBytes(16)), secret: Uint8Array.from(randomBytes(32)) };
  const text = await sealRoot(root, passphrase, cost);
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw usage(`${path} is there already`, 'a root file is never overwritten: name another one');
    throw usage(`${path} cannot be written: ${message}`, 'name a file in a folder that is there and can be written');
  }
  return { root, remove: () => unlink(path).catch(() => {}) };
}

async function read(path: string): Promise<string> {
  try {
    if ((await stat(path)).size > LONGEST_ROOT_FILE) throw rootError(path, 'not-a-root-file');
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof HoneyMeshError) throw error;
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw usage(
      `${path} ${absent ? 'is not there' : 'cannot be read'}`,
      'bring the root file that "honeymesh mesh init" made to this host for as long as it is needed',
    );
  }
}

function rootError(path: string, why: RootFileFailure): HoneyMeshError {
  switch (why) {
    case 'not-a-root-file':
      return usage(`${path} is no root file`, 'name the file that "honeymesh mesh init --root-file" wrote');
    case 'other-version':
      return usage(`${path} was made by another version of HoneyMesh`, 'use the version that made it, or a later one');
    case 'damaged':
      return usage(`${path} is damaged`, 'take a copy of it; without any, this mesh gets no new registrars: begin a new one');
    case 'wrong-passphrase':
      return new HoneyMeshError('HM_REFUSED', `the passphrase does not open ${path}`, { fix: 'try again: nothing was changed' });
  }
}
