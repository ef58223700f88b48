/** Builds the Go peer (hashicorp/memberlist, by Go modules) where there is a Go that can: it needs 1.25 and, the first time, the module proxy. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface GoPeer {
  readonly program: string;
  remove(): void;
}

const SOURCE = join(import.meta.dirname, '../interop/go-peer');
const BUILD_MS = 300_000;

/** Null where it cannot be built; why not is said on stderr, as a suite that skips in silence shows nothing. */
export function buildGoPeer(): GoPeer | null {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-go-peer-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const program = join(folder, 'go-peer');
  // A run as root through sudo may come without HOME, and Go without a cache builds nothing.
  const env = { HOME: folder, ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly', CGO_ENABLED: '0' };
  const built = spawnSync('go', ['build', '-o', program, '.'], { cwd: SOURCE, env, encoding: 'utf8', timeout: BUILD_MS });
  if (built.status === 0) return { program, remove };
  remove();
  const why = built.error === undefined ? built.stderr.trim().slice(-2000) : built.error.message;
  process.stderr.write(`SKIPPED: all that needs a peer on Go's memberlist: go build: ${why}\n`);
  return null;
}
