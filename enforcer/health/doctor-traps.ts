/** What the doctor says of the traps: what keeps connections from reaching them, and whether there is room for all their sessions. */
import { spawnSync } from 'node:child_process';
import type { Config } from '../config/config.ts';
import type { InstancePaths } from '../config/paths.ts';
import { trapChoiceOf } from '../config/trap-choice.ts';
import type { TrapReport } from '../control/operations.ts';
import { TRAP_MARK } from '../launch/listeners.ts';
import { lockOwner } from '../launch/lock.ts';
import { type Finding, finding, readOr } from './findings.ts';
import { iptablesObstacles, nftObstacles, type Obstacle } from './host-firewall.ts';
import { readMachine } from './machine.ts';

const TOOL_MS = 5_000;
const LARGEST_RULESET = 64 * 1024 * 1024;
/** Descriptors of a trap process besides its sessions: Node's own, listeners, maps. */
const OTHER_FILES = 64;

export function trapFindings(config: Config, paths: InstancePaths): readonly Finding[] {
  if (trapChoiceOf(config) === 'off') return [];
  return [...packetSocketFindings(readOr('/proc/net/packet')), ...firewallFindings(config), ...filesFindings(config, paths)];
}

const ETH_P_IP = /^\S+ +\d+ +\d+ +(0800|86dd) /m;

/**
 * A second taker of IP alone makes the kernel clone each packet, and a clone loses the socket that steering gave it: trap ports then answer as closed ones.
 * `sockets` is /proc/net/packet (packet(7)) of this network namespace. Takers of all protocols (tcpdump) come before steering and do not matter.
 */
function packetSocketFindings(sockets: string): readonly Finding[] {
  if (!ETH_P_IP.test(sockets)) return [];
  const why = 'a process has a packet socket for IP alone open (/proc/net/packet, protocol 0800 or 86dd): while it has, trap ports are closed ports';
  return [finding('packet sockets', false, why, 'find it with "ss -0p"; DHCP clients close theirs when they have a lease')];
}

function firewallFindings(config: Config): readonly Finding[] {
  const fallback = readMachine().defaultInterface;
  const options = { interfaces: config.interfaces ?? (fallback === null ? [] : [fallback]), mark: TRAP_MARK };
  const obstacles = firewallObstacles(run, options);
  if (obstacles.length === 0) return [];
  return obstacles.map(({ where, fix }) => finding('host firewall', false, `keeps connections from the traps: ${where}`, fix));
}

/** `ask` runs a tool and gives what it printed, or null where it is absent or did not answer. */
export function firewallObstacles(
  ask: (command: string, args: readonly string[]) => string | null,
  options: Parameters<typeof nftObstacles>[1],
): readonly Obstacle[] {
  const legacy = (['iptables', 'ip6tables'] as const).flatMap(command => iptablesObstacles(ask(`${command}-save`, []) ?? '', command, options));
  const told = new Set(legacy.map(({ fix }) => fix)); // iptables on nftables: both tools show the same chain
  return [...legacy, ...nftObstacles(ask('nft', ['-j', 'list', 'ruleset']) ?? '', options).filter(({ fix }) => !told.has(fix))];
}

function run(command: string, args: readonly string[]): string | null {
  const env = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' };
  const ran = spawnSync(command, args, { env, timeout: TOOL_MS, maxBuffer: LARGEST_RULESET, encoding: 'utf8' });
  return ran.status === 0 ? ran.stdout : null;
}

/** Each session is a descriptor. The launcher raises the limit, for itself and those whom it starts, as far as the machine lets it. */
function filesFindings(config: Config, paths: InstancePaths): readonly Finding[] {
  const launcher = lockOwner(paths.run)?.pid;
  const most = launcher === undefined ? undefined : openFilesOf(readOr(`/proc/${launcher}/limits`));
  if (most === undefined) return [];
  const needed = config.traps.sessions + OTHER_FILES;
  return [
    finding(
      'open files',
      most >= needed,
      `the running enforcer may open ${most}, traps.sessions needs ${needed}`,
      `lower traps.sessions, or let it open more: LimitNOFILE=${needed} in its unit, "sysctl fs.nr_open" on the machine`,
    ),
  ];
}

/** The hard limit of /proc/PID/limits: Node raises its soft one to that. */
export function openFilesOf(limits: string): number | undefined {
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return hard === undefined ? undefined : hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}

/** What the daemon says of its traps. */
export function trapsFinding({ choice, ports, udpPorts, patience, running, sessions }: TrapReport): Finding {
  if (choice === 'off') return finding('traps', null, 'off', 'traps.ports chooses them');
  const count = (of: readonly number[] | 'all'): string => (of === 'all' ? 'every closed' : String(of.length));
  return finding(
    'traps',
    running,
    `${choice}: ${count(ports)} TCP and ${count(udpPorts)} UDP ports, patience ${patience}, ${sessions} open sessions${running ? '' : '; the process does not run'}`,
    'it is started again by itself; the log tells why it ended',
  );
}
