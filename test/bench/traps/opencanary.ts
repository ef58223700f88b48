/**
 * OpenCanary as a peer: found by $OPENCANARY (its opencanaryd), in .cache/peers, or on the PATH; `--setup-peers` installs it into .cache/peers. Runs in a namespace
 * with a configuration and a log of its own, as `opencanaryd --dev` would run it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '#test/support/enforcer.ts';
import type { Absent, Contender, Installed } from './contender.ts';
import { lineCounter } from './log-lines.ts';
import { type BenchWire, createBenchWire, pinnedTo, SERVER_CORE } from './wire.ts';

const PEERS = fileURLToPath(new URL('../../../.cache/peers', import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL('./opencanary.txt', import.meta.url));
/** It reads this one before any other. */
const IN_THE_WAY = '/etc/opencanaryd/opencanary.conf';
const READY_MS = 60_000; // it makes its SSH keys at its first start
const SETUP_MS = 300_000;

/** Its TCP services that answer without more set-up, at the ports that it gives them, and UDP. */
export const TCP_SERVICES = {
  ...{ ftp: 21, ssh: 22, telnet: 23, http: 80, mssql: 1433, mysql: 3306, rdp: 3389, vnc: 5000, redis: 6379, httpproxy: 8080, git: 9418, mongodb: 27017 },
} as const;
export const UDP_SERVICES = { tftp: 69, ntp: 123, snmp: 161, sip: 5060 } as const;

/** Installs it with the versions of opencanary.txt; says what pip says where that fails. */
export function setUpOpenCanary(): void {
  const folder = join(PEERS, 'opencanary');
  for (const command of [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS],
  ]) {
    const [program = '', ...args] = command;
    const ran = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: SETUP_MS });
    if (ran.status !== 0) throw new Error(`${command.join(' ')} ended with ${ran.status ?? ran.error?.message}`);
  }
}

/** The folder of its programs, and its version. */
export function findOpenCanary(): Installed | Absent {
  const onPath = spawnSync('sh', ['-c', 'command -v opencanaryd'], { encoding: 'utf8' }).stdout.trim();
  const given = [process.env.OPENCANARY, join(PEERS, 'opencanary/bin/opencanaryd'), onPath].find(path => path !== undefined && path !== '' && existsSync(path));
  if (given === undefined) return { name: 'OpenCanary', why: 'not installed; --setup-peers installs it into .cache/peers' };
  if (existsSync(IN_THE_WAY)) return { name: 'OpenCanary', why: `reads ${IN_THE_WAY}, which is this machine's` };
  const bin = dirname(given);
  const version = spawnSync(join(bin, 'python'), ['-c', 'from opencanary import __version__ as v; print(v)'], { encoding: 'utf8' }).stdout.trim();
  return version === '' ? { name: 'OpenCanary', why: `its Python in ${bin} does not know it` } : { bin, name: `OpenCanary ${version}` };
}

export interface OpenCanary extends Contender {
  /** Its namespaces. */
  readonly wire: BenchWire;
}

/** `services`: names of TCP_SERVICES and UDP_SERVICES. */
export async function startOpenCanary({ bin, name }: Installed, services: readonly string[]): Promise<OpenCanary> {
  const wire = createBenchWire();
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-bench-'));
  const log = join(folder, 'opencanary.log');
  writeFileSync(join(folder, 'opencanary.conf'), JSON.stringify(settings(services, log)));
  const command = [...pinnedTo(SERVER_CORE), join(bin, 'twistd'), '-noy', join(bin, 'opencanary.tac')];
  const child = wire.host.start([...command, '--pidfile', join(folder, 'pid'), '--logfile', join(folder, 'twistd.log')], {
    stdio: ['ignore', 'ignore', 'ignore'],
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, PYTHONWARNINGS: 'ignore' },
  });
  const text = (path: string): string => (existsSync(path) ? readFileSync(path, 'latin1') : '');
  const remove = async (): Promise<void> => {
    child.kill('SIGTERM');
    wire.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually(`${name} runs`, () => text(log).includes('Canary running'), READY_MS);
  } catch (error) {
    const said = text(join(folder, 'twistd.log')).slice(-2_000);
    await remove();
    throw new Error(`${name} does not start:\n${said}`, { cause: error });
  }

  const count = lineCounter(log, '"src_host": "10.');
  return {
    name,
    wire,
    clients: wire.clients,
    pids: () => ({ opencanary: child.pid ?? 0 }),
    logSize: async () => count.total(),
    logged: async () => count.fresh(),
    remove,
  };
}

/** As `opencanaryd --copyconfig` writes them, but for the services, the page (its smaller one, near to ours in size) and a log that goes to one file only. */
function settings(services: readonly string[], log: string): Readonly<Record<string, unknown>> {
  const ports = Object.entries({ ...TCP_SERVICES, ...UDP_SERVICES }).flatMap(([name, port]) => [
    [`${name}.enabled`, services.includes(name)],
    [`${name}.port`, port],
  ]);
  return {
    'device.node_id': 'bench',
    'ip.ignorelist': [],
    'logtype.ignorelist': [],
    'ftp.banner': 'FTP server ready',
    'http.banner': 'Apache/2.2.22 (Ubuntu)',
    'http.skin': 'basicLogin',
    'httpproxy.skin': 'squid',
    'mysql.banner': '5.5.43-0ubuntu0.14.04.1',
    'mssql.version': '2012',
    'ssh.version': 'SSH-2.0-OpenSSH_5.1p1 Debian-4',
    'telnet.banner': '',
    'telnet.honeycreds': [],
    ...Object.fromEntries(ports),
    logger: {
      class: 'PyLogger',
      kwargs: { formatters: { plain: { format: '%(message)s' } }, handlers: { file: { class: 'logging.FileHandler', filename: log } } },
    },
  };
}
