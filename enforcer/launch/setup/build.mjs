/**
 * Builds the native parts: the kernel's programs (bpf/*.bpf.c) and the N-API addon (enforcer/kernel/native/*.cc). No dependencies, runs on
 * Node 18, because it runs before there is anything else. What is built already from the same inputs is left alone.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const MULTIARCH = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** What a compiler's complaint means: the first pattern that fits names the Debian package. */
const MISSING = [
  [/'(bpf\/[\w./]+)' file not found/, 'libbpf-dev'],
  [/'(seccomp\.h)' file not found/, 'libseccomp-dev'],
  [/'(linux\/[\w./]+|asm\/[\w./]+)' file not found/, 'linux-libc-dev'],
  [/'(napi\.h|node_api\.h|uv\.h)' file not found/, null],
  [/'(\w+)' file not found/, 'libstdc++-12-dev'],
  [/(?:cannot find|unable to find library) (-lbpf)/, 'libbpf-dev'],
  [/(?:cannot find|unable to find library) (-lseccomp)/, 'libseccomp-dev'],
  [/unknown target triple 'bpf'|(No available targets are compatible)/, 'clang'],
];

/** A build that failed; `fix` is what the operator can do. */
export class BuildError extends Error {
  constructor(message, fix) {
    super(fix === undefined ? message : `${message}\n  ${fix}`);
    this.name = 'BuildError';
    this.fix = fix;
  }
}

/**
 * Builds what is missing or out of date and returns the paths of the outputs with what was done to each.
 * @param {{ root?: string, log?: (line: string) => void, extraBpf?: readonly string[], sources?: readonly string[] }} [options]
 *   `extraBpf`: more BPF sources (benches), built to bpf/build/ as well; `log` gets one line for each thing built.
 * @returns {{ object: string, addon: string, extra: string[], built: string[] }}
 */
export function build({ root = ROOT, log = () => {}, extraBpf = [] } = {}) {
  const built = [];
  const object = buildBpf({ root, source: join(root, 'bpf/honeymesh.bpf.c'), log, built });
  const extra = extraBpf.map(source => buildBpf({ root, source: resolve(root, source), log, built }));
  const addon = buildAddon({ root, log, built });
  return { object, addon, extra, built };
}

/** Compiles one BPF source into bpf/build/ and returns the path of the object. */
export function buildBpf({ root = ROOT, source, log = () => {}, built = [] }) {
  const output = join(root, 'bpf/build', basename(source).replace(/\.c$/, '.o'));
  const include = `/usr/include/${MULTIARCH[process.arch] ?? `${process.arch}-linux-gnu`}`;
  const flags = ['-O2', '-g', '-Wall', '-Werror', '-target', 'bpf', '-mcpu=v3', `-I${join(root, 'bpf')}`];
  if (existsSync(include)) flags.push(`-I${include}`); // Debian keeps asm/types.h there
  const headers = filesIn(join(root, 'bpf'), /\.h$/);
  const beside = filesIn(dirname(source), /\.h$/);
  const command = output => ['clang', ...flags, '-c', source, '-o', output];
  compile({ root, output, inputs: [...new Set([source, ...headers, ...beside])], command, log, built });
  return output;
}

/** Compiles the addon with one call of the compiler and returns its path. */
export function buildAddon({ root = ROOT, log = () => {}, built = [] } = {}) {
  const native = join(root, 'enforcer/kernel/native');
  const sources = filesIn(native, /\.cc$/);
  const output = join(root, 'enforcer/build/honeymesh.node');
  const nodeHeaders = join(root, `node_modules/node-linux-${process.arch}/include/node`);
  const addonApi = join(root, 'node_modules/node-addon-api');
  for (const [path, what] of [
    [nodeHeaders, `node-linux-${process.arch}`],
    [addonApi, 'node-addon-api'],
  ]) {
    if (!existsSync(path)) throw new BuildError(`the headers of ${what} are missing (${path})`, 'run "npm ci --ignore-scripts" in the checkout first');
  }
  const flags = [
    '-shared',
    '-fPIC',
    '-std=c++17',
    '-O2',
    '-g0',
    '-fno-exceptions',
    '-Wall',
    '-Werror',
    '-fvisibility=hidden',
    '-DNAPI_VERSION=9',
    '-DNAPI_DISABLE_CPP_EXCEPTIONS',
  ];
  const includes = ['-isystem', nodeHeaders, '-isystem', addonApi];
  const libraries = ['-lbpf', ...(sources.some(source => source.endsWith('/seccomp.cc')) ? ['-lseccomp'] : [])];
  const command = output => ['clang++', ...flags, ...includes, ...sources, '-o', output, ...libraries];
  const inputs = [...sources, ...filesIn(native, /\.h$/), join(nodeHeaders, 'node_version.h'), join(addonApi, 'package.json')];
  compile({ root, output, inputs, command, log, built });
  return output;
}

/** Runs a compiler unless the output was made from the same inputs by the same command. The output appears whole or not at all. */
function compile({ root, output, inputs, command, log, built }) {
  const stamp = `${output}.inputs`;
  const fingerprint = fingerprintOf(inputs, command(output), root);
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) return;
  mkdirSync(dirname(output), { recursive: true });
  const started = Date.now();
  const unfinished = `${output}.${process.pid}`;
  const [program, ...args] = command(unfinished);
  const ran = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024, timeout: 300_000 });
  if (ran.error !== undefined || ran.status !== 0) {
    rmSync(unfinished, { force: true });
    throw whatIsWrong(program, output, ran);
  }
  renameSync(unfinished, output);
  writeFileSync(stamp, fingerprint);
  built.push(output);
  log(`built ${output.slice(root.length + 1)} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

function whatIsWrong(program, output, ran) {
  if (ran.error?.code === 'ENOENT') return new BuildError(`${program} is not installed`, 'install it: apt-get install clang libbpf-dev libelf-dev');
  const said = `${ran.stderr ?? ''}${ran.error === undefined ? '' : String(ran.error)}`.trim();
  for (const [pattern, packageName] of MISSING) {
    const match = pattern.exec(said);
    if (match === null) continue;
    const fix = packageName === null ? 'run "npm ci --ignore-scripts" in the checkout' : `install it: apt-get install ${packageName}`;
    return new BuildError(`${basename(output)} could not be built: ${match[1] ?? match[0]} is missing`, fix);
  }
  return new BuildError(`${basename(output)} could not be built:\n${said.slice(0, 20_000)}`);
}

function fingerprintOf(inputs, command, root) {
  const hash = createHash('sha256');
  hash.update(JSON.stringify(command.map(word => word.split(root).join(''))));
  for (const input of inputs) {
    if (!existsSync(input)) throw new BuildError(`${input} is missing: the checkout is not whole`, 'git checkout it, or clone again');
    hash.update(input.split(root).join(''));
    hash.update(readFileSync(input));
  }
  return hash.digest('hex');
}

function filesIn(folder, pattern) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(name => pattern.test(name))
    .sort()
    .map(name => join(folder, name));
}

const isScript = process.argv[1] !== undefined && existsSync(process.argv[1]) && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isScript) {
  try {
    const { built } = build({ log: line => console.log(line), extraBpf: process.argv.slice(2) });
    if (built.length === 0) console.log('the native parts are up to date');
  } catch (error) {
    console.error(error instanceof BuildError ? `error: ${error.message}` : error);
    process.exitCode = 1;
  }
}
