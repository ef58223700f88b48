/**
 * `npm test [-- SUITE|GROUP ...]`: the set-up with what the tests need, then the suites one after the other, a table of what came of them, and as
 * the last line `N passed, N failed`. Exit code 1 where anything failed.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { build } from './build.mjs';
import { asRoot, installDebianPackages, installNodePackages, log, mountFileSystems, NODE, ROOT, SEARCH_PATH, settingUp } from './install.mjs';
import { hardLimitSeconds, SUITES, select } from './suites.mjs';

const HUNG = 124; // what timeout(1) exits with when it had to end the command
const nightlyFactor = process.env.HONEYMESH_NIGHTLY === '1' ? 20 : 1;

const args = process.argv.slice(2);
const { suites, unknown } = select(args);
if (unknown.length > 0) {
  const groups = [...new Set(SUITES.map(({ group }) => group))];
  console.error(`no such suite: ${unknown.join(', ')}; there are ${SUITES.map(({ name }) => name).join(', ')} and the groups ${groups.join(', ')}.`);
  console.error('One file alone: npx vitest run PATH');
  process.exit(2);
}

const inUse = suites.filter(({ name }) => name === 'check' || testFiles(name).length > 0);
const ready = await settingUp(() => {
  installNodePackages();
  if (!inUse.some(({ needsMachine }) => needsMachine)) return;
  installDebianPackages('testing');
  build({ log });
  mountFileSystems();
});
if (ready) {
  const rows = [];
  for (const suite of inUse) rows.push(await runSuite(suite));
  for (const row of rows) for (const failure of row.failures) console.log(`FAILED ${row.name}: ${failure}`);
  printTable(rows);
  const failed = sum(rows.map(({ failures }) => failures.length));
  process.exitCode = failed > 0 ? 1 : 0;
  console.log(`${sum(rows.map(({ passed }) => passed))} passed, ${failed} failed`);
} else {
  // Who reads only the last line must not take a set-up that failed for a run without tests.
  console.log('0 passed, 1 failed');
}

/** Runs one suite and returns its row of the table. */
async function runSuite(suite) {
  console.log(`\n== ${suite.name}`);
  const started = Date.now();
  const counted = suite.name === 'check' ? await runChecks(suite) : await runVitest(suite);
  const seconds = (Date.now() - started) / 1000;
  return { ...counted, name: suite.name, seconds, budgetSeconds: suite.budgetSeconds * nightlyFactor };
}

async function runChecks(suite) {
  const checks = [
    ['the types fit (tsc)', [NODE, bin('tsc'), '--noEmit']],
    ['format, lint and layers are kept (biome)', [NODE, bin('biome'), 'check', '--error-on-warnings', '.']],
  ];
  const failures = [];
  for (const [name, command] of checks) {
    const code = await runLimited(command, suite);
    console.log(`${code === 0 ? 'ok' : 'NOT OK'}: ${name}`);
    if (code !== 0) failures.push(code === HUNG ? `${name}: hung` : name);
  }
  return { passed: checks.length - failures.length, failures, skipped: 0 };
}

async function runVitest(suite) {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-test-'));
  try {
    const report = join(folder, 'report.json');
    const settings = ['CI', 'HONEYMESH_NIGHTLY', 'HONEYMESH_LOCALSTACK_ENDPOINT', 'FORCE_COLOR', 'NO_COLOR']
      .filter(key => process.env[key] !== undefined)
      .map(key => `${key}=${process.env[key]}`);
    const command = ['env', `PATH=${path()}`, `HONEYMESH_TEST_REPORT=${report}`, ...settings, NODE, bin('vitest'), 'run', '--project', suite.name];
    const code = await runLimited(suite.needsMachine ? asRoot(command) : command, suite);
    return judge(suite, code, report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the report says, and what it cannot say: that vitest hung, fell over, or left files out. */
function judge(suite, code, report) {
  const read = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { files: 0, passed: 0, skipped: 0, failures: [] };
  const failures = [...read.failures];
  const expected = testFiles(suite.name).length;
  if (code === HUNG) failures.push(`hung: ended after ${limitSeconds(suite)} s`);
  else if (!existsSync(report)) failures.push(`vitest ended with ${code} and without a report`);
  else if (read.files !== expected) failures.push(`${expected} files in test/${suite.name}, but ${read.files} were run`);
  else if (code !== 0 && failures.length === 0) failures.push(`vitest ended with ${code}`);
  return { passed: read.passed, skipped: read.skipped, failures };
}

function limitSeconds(suite) {
  return hardLimitSeconds(suite) * nightlyFactor;
}

/**
 * Runs a command under timeout(1), which ends its whole process group, also where it runs as root and we do not. It gets no terminal: nothing may ask.
 * Ctrl-C and the like are handed on, and end us once the command is gone.
 */
function runLimited([program, ...rest], suite) {
  const limited = ['--kill-after=10', String(limitSeconds(suite))];
  const [first, ...others] = program === 'sudo' ? ['sudo', '--', 'timeout', ...limited, ...rest.slice(1)] : ['timeout', ...limited, program, ...rest];
  return new Promise(resolve => {
    const child = spawn(first, others, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, PATH: path() } });
    const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map(signal => {
      const handler = () => {
        child.kill(signal);
        child.once('close', () => process.exit(128 + constants.signals[signal]));
      };
      process.once(signal, handler);
      return [signal, handler];
    });
    const finish = code => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
      resolve(code);
    };
    child.once('error', error => {
      console.error(error.message);
      finish(127);
    });
    child.once('close', (code, signal) => finish(code === 137 ? HUNG : (code ?? 128 + constants.signals[signal])));
  });
}

function printTable(rows) {
  const line = (...cells) => cells.map((cell, at) => (at === 0 ? String(cell).padEnd(12) : String(cell).padStart(9))).join('');
  console.log(`\n${line('suite', 'passed', 'failed', 'skipped', 'seconds', 'budget')}`);
  for (const { name, passed, failures, skipped, seconds, budgetSeconds } of rows) {
    const over = seconds > budgetSeconds ? '  WARNING: over its budget' : '';
    console.log(`${line(name, passed, failures.length, skipped, seconds.toFixed(1), budgetSeconds)}${over}`);
  }
}

function testFiles(suite) {
  const folder = join(ROOT, 'test', suite);
  return existsSync(folder)
    ? filesBelow(folder)
        .filter(file => file.endsWith('.test.ts'))
        .map(file => relative(ROOT, file))
    : [];
}

// readdirSync's own `recursive` came with Node 18.17.
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry =>
    entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

function bin(name) {
  return join(ROOT, 'node_modules/.bin', name);
}

function path() {
  return [join(ROOT, 'node_modules/.bin'), ...SEARCH_PATH].join(delimiter);
}

function sum(numbers) {
  return numbers.reduce((total, each) => total + each, 0);
}
