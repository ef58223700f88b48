/**
 * Makes one file of the scriptable node: of its seventy sources Node would find, read and strip each at every start, which takes two thirds more processor time.
 * Called by test/interop/peer where a source has changed since. Beside the file go its sources, by which the next change is noticed.
 */
import { mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const top = join(import.meta.dirname, '../../..');
const folder = join(top, '.cache/mesh-peer');
const started = new Date();

mkdirSync(folder, { recursive: true });
const { outputFiles, metafile } = await build({
  entryPoints: [join(import.meta.dirname, 'main.ts')],
  absWorkingDir: top,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  outfile: join(folder, 'peer.mjs'),
  write: false,
  metafile: true,
  logLevel: 'silent',
});

/** Whole or not at all: others may be reading it. */
function put(name, contents, time) {
  const draft = join(folder, `${name}.${process.pid}`);
  writeFileSync(draft, contents);
  // What changes while it is built is newer than it.
  utimesSync(draft, time, time);
  renameSync(draft, join(folder, name));
}

const own = 'test/support/mesh-peer/bundle.mjs';
put('sources', `${[own, ...Object.keys(metafile.inputs)].join('\n')}\n`, started);
put('peer.mjs', outputFiles[0].contents, started);
