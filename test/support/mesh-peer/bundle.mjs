/**
 * Makes one file of the scriptable node, and one of what only a node that signs needs: else Node would find, read and strip each of a hundred sources at every
 * start. Called by test/interop/peer where a source has changed since; beside the files goes the list of their sources, by which the next change is noticed.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const top = join(import.meta.dirname, '../../..');
const folder = join(top, '.cache/mesh-peer');
const started = new Date();
/** A node that began with the files before may still ask for its second one. */
const KEPT_MS = 600_000;

mkdirSync(folder, { recursive: true });
const { outputFiles, metafile } = await build({
  entryPoints: { peer: join(import.meta.dirname, 'main.ts') },
  absWorkingDir: top,
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'part-[hash]',
  write: false,
  metafile: true,
  logLevel: 'silent',
});

/** Whole or not at all: others may be reading it. What changes while it is made is newer than it. */
function put(name, contents) {
  const draft = join(folder, `${name}.${process.pid}`);
  writeFileSync(draft, contents);
  utimesSync(draft, started, started);
  renameSync(draft, join(folder, name));
}

const made = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
for (const [name, contents] of made) if (name !== 'peer.mjs') put(name, contents);
// For what npm installs its own record stands: packages change together, and a second link to a file of theirs is no change.
const ours = Object.keys(metafile.inputs).filter(path => !path.startsWith('node_modules/'));
const record = 'node_modules/.package-lock.json';
put('sources', `${['test/support/mesh-peer/bundle.mjs', ...(existsSync(join(top, record)) ? [record] : []), ...ours].join('\n')}\n`);
put('peer.mjs', made.get('peer.mjs'));
for (const name of readdirSync(folder)) {
  if (!made.has(name) && name.startsWith('part-') && Date.now() - statSync(join(folder, name)).mtimeMs > KEPT_MS) rmSync(join(folder, name), { force: true });
}
