/** `honeymesh doctor`: looks at the machine, at what is loaded and at what the daemon says, and tells what mends it. Works without the daemon. */
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { InstancePaths } from '../config/paths.ts';
import { connectControl } from '../control/client.ts';
import { HoneyMeshError } from '../errors.ts';
import { interfaceNames, OLDEST_KERNEL } from '../kernel/checks.ts';
import { bpffsMounted, cgroup2Mount } from '../launch/host.ts';
import { lockOwner } from '../launch/lock.ts';
import { missingParts } from '../launch/parts.ts';
import { peek } from '../mesh/thread/peek.ts';
import { verifyDirectory } from '../store/verify.ts';
import { meshFinding, meshFindings } from './doctor-mesh.ts';
import { trapFindings, trapsFinding } from './doctor-traps.ts';
import { type Finding, finding, readOr } from './findings.ts';
import { readMachine } from './machine.ts';

/** All findings, from the ground up. */
export async function examine({ config, paths }: { readonly config: Config; readonly paths: InstancePaths }): Promise<readonly Finding[]> {
  return [
    ...machineFindings(config),
    ...trapFindings(config, paths),
    ...(await meshFindings({ config, paths })),
    ...loadedFindings(paths),
    ...(await daemonFindings(config, paths)),
    await logFinding(paths),
  ];
}

function machineFindings(config: Config): readonly Finding[] {
  const version = release();
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const newEnough = major > OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor >= OLDEST_KERNEL[1]);
  const missing = missingParts();
  const unprivileged = readOr('/proc/sys/kernel/unprivileged_bpf_disabled');
  const jit = readOr('/proc/sys/net/core/bpf_jit_enable');
  const cgroup2 = cgroup2Mount(readOr('/proc/self/mountinfo'));
  return [
    finding('kernel', newEnough, `Linux ${version}`, `boot a kernel of ${OLDEST_KERNEL.join('.')} or newer`),
    finding('kernel types (BTF)', existsSync('/sys/kernel/btf/vmlinux'), '/sys/kernel/btf/vmlinux', 'boot a kernel built with CONFIG_DEBUG_INFO_BTF'),
    finding('BPF file system', bpffsMounted(), '/sys/fs/bpf', 'mount -t bpf bpf /sys/fs/bpf'),
    finding('cgroup2', cgroup2 !== undefined, cgroup2 ?? 'not mounted: no source is ever known as proven', 'start the enforcer: it mounts one'),
    finding(
      'BPF JIT',
      jit === '' ? null : jit !== '0',
      jit === '' ? "net.core.bpf_jit_enable can be read in the host's own network namespace only" : `net.core.bpf_jit_enable is ${jit}`,
      jit === '' ? null : 'sysctl -w net.core.bpf_jit_enable=1',
    ),
    finding(
      'unprivileged BPF is off',
      unprivileged === '' ? null : unprivileged !== '0',
      `kernel.unprivileged_bpf_disabled is ${unprivileged || 'unreadable'}`,
      'start the enforcer: it sets 1',
    ),
    finding('native parts', missing.length === 0, missing.length === 0 ? 'built' : `not built: ${missing.join(', ')}`, 'run "npm start" in the checkout'),
    ...interfaceFindings(config),
  ];
}

function interfaceFindings(config: Config): readonly Finding[] {
  const fallback = readMachine().defaultInterface;
  const names = config.interfaces ?? (fallback === null ? [] : [fallback]);
  if (names.length === 0)
    return [
      finding(
        'interface',
        false,
        'none is configured and there is no default route',
        'name one: --interface NAME, or "interfaces: [NAME]" in the configuration',
      ),
    ];
  const there = new Set(interfaceNames());
  return names.map(name => finding(`interface ${name}`, there.has(name), there.has(name) ? 'there' : 'does not exist', '"ip link" lists the interfaces'));
}

function loadedFindings(paths: InstancePaths): readonly Finding[] {
  const loaded = existsSync(join(paths.pins, 'config'));
  return [finding('packet filter', loaded, loaded ? `pinned at ${paths.pins}` : 'not loaded', 'start the enforcer: honeymesh run')];
}

async function daemonFindings(config: Config, paths: InstancePaths): Promise<readonly Finding[]> {
  const owner = lockOwner(paths.run);
  try {
    const client = await connectControl(paths.socket);
    try {
      const status = await client.status();
      const off = status.interfaces.filter(({ xdp }) => xdp === 'off');
      return [
        finding('daemon', true, `answers (version ${status.version}, mode ${status.mode})`, null),
        trapsFinding(status.traps),
        ...meshFinding(status.mesh, config, (await peek(join(paths.state, 'mesh'))).membership),
        ...off.map(({ name }) => finding(`packet filter on ${name}`, false, 'is not attached', '"honeymesh status" tells why')),
        ...status.degraded.map(({ part, why, fix }) => finding(part, false, why, fix)),
      ];
    } finally {
      client.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const running = owner === undefined ? '' : ` (its launcher is process ${owner.pid})`;
    return [finding('daemon', false, `${why}${running}`, (error instanceof HoneyMeshError ? error.fix : undefined) ?? 'start it: honeymesh run')];
  }
}

async function logFinding(paths: InstancePaths): Promise<Finding> {
  if (!existsSync(paths.state)) return finding('event log', null, `there is none yet at ${paths.state}`, null);
  const verified = await verify(paths.state);
  if (verified instanceof HoneyMeshError) return finding('event log', null, verified.message, verified.fix ?? null);
  if (verified.ok) return finding('event log', true, `${verified.events} events in ${verified.segments} segments, the chain is whole`, null);
  return finding('event log', false, verified.why, '"honeymesh events verify" tells where; keep the file for the record, the enforcer goes on with a new one');
}

/** What cannot be read is a finding too, not the end of the examination. */
async function verify(directory: string): Promise<Awaited<ReturnType<typeof verifyDirectory>> | HoneyMeshError> {
  try {
    return await verifyDirectory(directory);
  } catch (error) {
    if (error instanceof HoneyMeshError) return error;
    throw error;
  }
}
