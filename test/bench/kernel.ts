/**
 * `npm run bench:kernel [-- --json FILE] [--rounds N]`: what a packet costs in the kernel, ours beside xdp-filter and an nft set, each with 10,000 banned
 * sources. docs/benchmarks.md says how to read it. Needs root; works in two network namespaces of its own.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from '#enforcer/launch/setup/build.mjs';
import { createLab } from '#test/support/namespaces.ts';
import { type Peers, rowsOf } from './kernel/figures.ts';
import { OWN, SENDER } from './kernel/filters.ts';
import type { Figures, Task } from './kernel/measure.ts';
import { benchCommandLine } from './support/command-line.ts';
import { report } from './support/rows.ts';

const MEASURE = fileURLToPath(new URL('./kernel/measure.ts', import.meta.url));
const MEASURING_MS = 300_000;

const { jsonPath, rounds } = benchCommandLine('kernel', { rounds: 7 });
if (process.getuid?.() !== 0) {
  console.error('error: programs are loaded into the kernel and network namespaces made: run it as root');
  process.exit(1);
}
build({ log: line => console.error(line) });

const nft = versionOf('nft', ['--version'], /v([\d.]+)/);
const hasEthtool = versionOf('ethtool', ['--version'], /version ([\d.]+)/) !== null;
const figures = await measured({ path: '', hasNft: nft !== null, hasEthtool });
const xdpTools = versionOf('dpkg-query', ['-W', '-f', '$' + '{Version}', 'xdp-tools'], /^([\d.]+)/);
const peers: Peers = {
  xdpFilter: `xdp-filter${xdpTools === null ? '' : ` ${xdpTools}`}`,
  whyNoXdpFilter: figures.memory.ipOnly === null ? 'not installed' : null,
  nft: `nft${nft === null ? '' : ` ${nft}`}`,
  whyNoNft: nft === null ? 'not installed' : hasEthtool ? null : 'not measured, ethtool is not installed',
};
report(rowsOf(figures, peers), { title: `kernel bench, medians of ${rounds} rounds, 10,000 banned sources, 60-byte frames`, jsonPath });

/** A sender and a receiver in namespaces of their own; the measuring process in the sender's, on the last core. */
async function measured(receiver: Task['receiver']): Promise<Figures> {
  using lab = createLab();
  const [sending, receiving] = [lab.namespace('sender'), lab.namespace('receiver')];
  lab.link({ namespace: sending, device: 'eth0', addresses: [`${SENDER}/24`] }, { namespace: receiving, device: 'eth0', addresses: [`${OWN}/24`] });
  const task: Task = { rounds, receiver: { ...receiver, path: receiving.path } };
  const core = String(availableParallelism() - 1);
  const ran = await sending.run(['taskset', '-c', core, process.execPath, MEASURE, JSON.stringify(task)], { timeoutMs: MEASURING_MS });
  return JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '') as Figures;
}

/** Null where the command is not there. */
function versionOf(command: string, args: readonly string[], pattern: RegExp): string | null {
  const ran = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 });
  if (ran.error !== undefined) return null;
  return pattern.exec(`${ran.stdout}${ran.stderr}`)?.[1] ?? '';
}
