/**
 * `npm run oracle -- FOLDER`: plays all captures of a folder (pcap, pcapng) through the kernel's program and the oracle and shows where
 * they differ, with a table of what was decided. Exit code 0: no difference; 1: a difference; 2: nothing could be compared.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCapture } from '../pcap.ts';
import { captureScenarios, sequencesOf } from './captures.ts';
import { compare, report } from './compare.ts';
import { runInNamespace, setUpNamespace } from './in-namespace.ts';
import { createKernelSide, type KernelSide } from './kernel-side.ts';
import { openRealSockets } from './real-sockets.ts';
import type { Sockets } from './scenario.ts';

const INSIDE = '--inside';
const LONGEST_RUN_MS = 30 * 60_000;
const LARGEST_FILE = 1 << 30;
const MAGICS = ['0a0d0d0a', 'a1b2c3d4', 'd4c3b2a1', 'a1b23c4d', '4d3cb2a1'];

interface FileOutcome {
  readonly name: string;
  readonly frames: number;
  readonly skipped: number;
  readonly problem: string | null;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly differences: readonly string[];
}

function playFile(name: string, path: string, kernel: KernelSide, sockets: Sockets): FileOutcome {
  const { frames: captured, skipped, problem } = readCapture(readFileSync(path));
  const frames = captured.map(({ frame }) => frame).filter(frame => frame.length >= 14); // PROG_TEST_RUN takes none below
  const verdicts: Record<string, number> = {};
  const differences: string[] = [];
  for (const { title, scenario } of captureScenarios(frames)) {
    for (const sequence of sequencesOf(frames)) {
      const found = compare({ kernel, sockets }, scenario, sequence, verdict => {
        verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      });
      if (found !== undefined) differences.push(`${name}, ${title}: ${report({ kernel, sockets }, scenario, sequence, found)}`);
    }
  }
  return { name, frames: frames.length, skipped, problem, verdicts, differences };
}

/** Files that begin as a capture does, in order of their names, of all folders below. */
function capturesIn(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name));
  return paths.filter(path => /\.(pcap|pcapng|cap|dmp)$/i.test(path) || isCapture(path)).sort();
}

function isCapture(path: string): boolean {
  return statSync(path).size <= LARGEST_FILE && MAGICS.includes(readFileSync(path).subarray(0, 4).toString('hex'));
}

function table(outcomes: readonly FileOutcome[]): string {
  const rows = outcomes.map(({ name, frames, skipped, problem, verdicts, differences }) => {
    const counts = Object.entries(verdicts).sort(([, one], [, other]) => other - one);
    const notes = [...(skipped > 0 ? [`${skipped} packets of no Ethernet form`] : []), ...(problem === null ? [] : [`malformed: ${problem}`])];
    return [name, String(frames), String(differences.length), [...counts.map(([verdict, count]) => `${verdict} ${count}`), ...notes].join(', ')];
  });
  const all = [['capture', 'frames', 'differences', 'verdicts (of all scenarios)'], ...rows];
  const widths = [0, 1, 2].map(column => Math.max(...all.map(row => row[column]?.length ?? 0)));
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function inside(folder: string): Promise<number> {
  setUpNamespace();
  const { sockets, ports, close } = await openRealSockets();
  const kernel = createKernelSide(ports);
  const outcomes = capturesIn(folder).map(path => playFile(relative(folder, path), path, kernel, sockets));
  kernel.close();
  close();
  if (outcomes.length === 0) {
    console.error(`no captures in ${folder}`);
    return 2;
  }
  console.log([...outcomes.flatMap(({ differences }) => differences), table(outcomes)].join('\n'));
  if (outcomes.some(({ differences }) => differences.length > 0)) return 1;
  return outcomes.every(({ frames }) => frames === 0) ? 2 : 0;
}

async function main(args: readonly string[]): Promise<number> {
  const [folder] = args.filter(arg => arg !== INSIDE);
  if (folder === undefined || !(statSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false)) {
    console.error('usage: npm run oracle -- FOLDER   (a folder with captures, pcap or pcapng)');
    return 2;
  }
  if (args.includes(INSIDE)) return await inside(folder);
  const ran = await runInNamespace(fileURLToPath(import.meta.url), [INSIDE, folder], LONGEST_RUN_MS);
  process.stdout.write(ran.stdout);
  process.stderr.write(ran.stderr);
  return ran.status ?? 2;
}

process.exitCode = await main(process.argv.slice(2));
