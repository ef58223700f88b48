/**
 * Runs a script of this folder in a network namespace of its own, where the look-ups of PROG_TEST_RUN see our sockets and no others.
 * The namespace goes with its process.
 */
import { execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from '#enforcer/launch/setup/build.mjs';
import { LOCAL_ADDRESSES } from './real-sockets.ts';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `script` is a file of this folder; the child is killed after `timeoutMs`. What is out of date of the program is built first. */
export async function runInNamespace(script: string, args: readonly string[], timeoutMs: number): Promise<Ran> {
  build();
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn('unshare', ['--net', '--', process.execPath, path, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const status = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  return { status, stdout, stderr };
}

/** In the child: the loopback up, with the addresses that the sockets need. Refuses to touch a namespace that has more than a loopback. */
export function setUpNamespace(): void {
  const links = JSON.parse(execFileSync('ip', ['-json', 'link'], { encoding: 'utf8' })) as { ifname: string; link_type: string }[];
  // Tunnels such as sit0 come with some kernels; an Ethernet device means that this is somebody's real namespace.
  if (links.some(({ link_type }) => link_type === 'ether')) throw new Error('this is not a namespace of its own: start it through runInNamespace');
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  for (const address of LOCAL_ADDRESSES) execFileSync('ip', ['address', 'add', address, 'dev', 'lo', ...(address.includes(':') ? ['nodad'] : [])]);
}
