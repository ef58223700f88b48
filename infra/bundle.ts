/**
 * Bundles the functions' code with esbuild: one file each, with what it uses of the AWS SDK in it, so that what the tests run is what is deployed and
 * no update of the runtime changes it. The source maps stay here (they are most of the bytes, and only an operator who reads a stack needs one).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const OUTPUT = join(ROOT, '.cache/hub');

/** Makes the code of a function from its entry (a path from the root of the checkout) and returns the folder that holds index.js and nothing else. */
export type Bundle = (name: string, entry: string, nodeMajor: number) => string;

export const bundleInto =
  (output: string): Bundle =>
  (name, entry, nodeMajor) => {
    const folder = join(output, 'functions', name);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const built = buildSync({
      absWorkingDir: ROOT,
      entryPoints: [entry],
      outfile: join(folder, 'index.js'),
      bundle: true,
      write: false,
      platform: 'node',
      // CommonJS: parts of the SDK and of powertools call require() at run time, which a bundled ES module has not.
      format: 'cjs',
      target: `node${nodeMajor}`,
      // The ES builds of the SDK are the ones that can be shaken.
      mainFields: ['module', 'main'],
      external: [],
      minify: true,
      sourcemap: 'external',
      legalComments: 'none',
      logLevel: 'error',
    });
    const maps = join(output, 'maps');
    mkdirSync(maps, { recursive: true });
    for (const file of built.outputFiles) writeFileSync(file.path.endsWith('.map') ? join(maps, `${name}.js.map`) : file.path, file.contents);
    return folder;
  };

export const bundle: Bundle = bundleInto(OUTPUT);
