/** Files that are replaced as a whole: after a power cut there is the old one or the new one. Read with a bound, and set aside where nobody can read them. */
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';

/** Keys lie here: nobody else looks in. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Writers of one path within this thread, one after the other. */
const writing = new Map<string, Promise<void>>();

/** Also where it was there before: for folders that are ours alone. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  await chmod(path, FOLDER_MODE);
}

/** `ownFolder`: nobody else may look into it from then on. Resolves when it is on the disk, its name too. Rejects with the system's error; what was there before is then there still. */
export function replaceFile(path: string, bytes: Uint8Array | string, { ownFolder } = { ownFolder: false }): Promise<void> {
  const before = writing.get(path) ?? Promise.resolve();
  const done = before.catch(() => undefined).then(() => replace(path, bytes, ownFolder));
  writing.set(path, done);
  const forget = (): void => {
    if (writing.get(path) === done) writing.delete(path);
  };
  done.then(forget, forget);
  return done;
}

async function replace(path: string, bytes: Uint8Array | string, ownFolder: boolean): Promise<void> {
  const folder = dirname(path);
  await (ownFolder ? makeFolder(folder) : mkdir(folder, { recursive: true, mode: FOLDER_MODE }));
  // The daemon writes from two threads: each has a draft of its own, and a crash leaves no more than these.
  const draft = `${path}.new-${threadId}`;
  await rm(draft, { force: true, recursive: true });
  const file = await open(draft, 'wx', FILE_MODE);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const names = await open(folder, 'r');
  try {
    await names.sync();
  } finally {
    await names.close();
  }
}

export type ReadFault = 'absent' | 'too-long' | 'unreadable';

/** No more than `longestBytes` of it are read. Never rejects. */
export async function readBounded(path: string, longestBytes: number): Promise<Parsed<Buffer, ReadFault>> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > longestBytes) return unparsed('too-long');
      return parsed(await file.readFile());
    } finally {
      await file.close();
    }
  } catch (error) {
    return unparsed((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'unreadable');
  }
}

/** Renames it to where it is in nobody's way; returns the new name. Rejects with the system's error. */
export async function setAside(path: string, at: Date): Promise<string> {
  const stamp = at.toISOString().replace(/[-:]|\.\d+/g, '');
  const taken = new Set(await readdir(dirname(path)));
  for (let count = 1; ; count++) {
    const aside = `${path}.damaged-${stamp}${count === 1 ? '' : `-${count}`}`;
    if (taken.has(aside.slice(dirname(path).length + 1))) continue;
    await rename(path, aside);
    return aside;
  }
}

/** Removes these files of a folder, their drafts and what was set aside of them. */
export async function removeFiles(folder: string, names: readonly string[]): Promise<void> {
  const found = await readdir(folder).catch(() => []);
  const ours = found.filter(entry => names.some(name => entry === name || entry.startsWith(`${name}.new`) || entry.startsWith(`${name}.damaged-`)));
  await Promise.all(names.map(name => writing.get(join(folder, name))?.catch(() => undefined)));
  await Promise.all(ours.map(entry => rm(join(folder, entry), { force: true, recursive: true })));
}
