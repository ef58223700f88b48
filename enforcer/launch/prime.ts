/** What the kernel is told before the first packet is judged, so that the operator, a regular client or a real service is never taken for an attacker. */
import type { AllowEntry } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import { dashboardPorts } from '../config/dashboard-fields.ts';
import { meshPorts } from '../config/mesh-fields.ts';
import { kernelConfigOf } from '../config/policies.ts';
import type { Config } from '../config/schema.ts';
import { type MachineFacts, machineAllows, readListening } from '../health/machine.ts';
import type { Kernel, KernelRule, ServedPorts, TrapPorts } from '../kernel/port.ts';
import type { TrapListeners } from './messages.ts';
import { mergePorts } from './published-ports.ts';

export interface PrimeFacts {
  readonly config: Config;
  readonly machine: MachineFacts;
  readonly sessions: readonly AllowEntry[];
  /** Ports that DNAT and the like serve. */
  readonly forwarded: ServedPorts;
  readonly listeners: TrapListeners | null;
  /** Which closed ports are traps, `typical` worked out; of no account without listeners. */
  readonly trapPorts: TrapPorts;
}

/** Ports that are served for good: by the configuration's word, or forwarded; the mesh's also before it listens and while it is down, for its members call; the dashboard's likewise. */
export const servedAlways = (config: Config, forwarded: ServedPorts): ServedPorts =>
  mergePorts([config.services.served, forwarded, config.mesh === undefined ? NO_PORTS : meshPorts(config.mesh), dashboardPorts(config.dashboard)]);

const NO_PORTS: ServedPorts = { tcp: [], udp: [] };

/** Writes it all. Returns who is allowed by itself, for the summary. */
export function primeKernel(kernel: Kernel, { config, machine, sessions, forwarded, listeners, trapPorts }: PrimeFacts, now: UnixMs): readonly AllowEntry[] {
  const { port = 0, mark = 0, udpPort = 0 } = listeners ?? {};
  kernel.setConfig(kernelConfigOf(config, { trapPort: port, trapMark: mark, trapUdpPort: udpPort, ephemeralPorts: machine.ephemeralPorts }));
  kernel.setOwnAddresses(machine.own);
  const allowed = [...machineAllows(machine, now), ...sessions];
  kernel.setRules(withAllowed(kernel.listRules(), [...config.allow, ...allowed.map(entry => entry.target)]));
  const listening = readListening(listeners);
  kernel.setServedPorts(servedAlways(config, forwarded), listening.served);
  kernel.setTrapPorts(listeners === null ? { tcp: [], udp: [] } : trapPorts);
  kernel.prove(listening.peers); // proven, not allowed: else one idle connection would beat every ban
  return allowed;
}

/** What an enforcer before this one left stays (its bans go on, whom the operator allowed stays allowed) until the daemon reconciles with the ledger. */
function withAllowed(former: readonly KernelRule[], targets: readonly KernelRule['target'][]): readonly KernelRule[] {
  const wanted = new Set(targets);
  const allows = [...wanted].map((target): KernelRule => ({ target, action: 'allow', tier: 'operator', reasons: [], expiresAt: null }));
  return [...former.filter(rule => !wanted.has(rule.target)), ...allows];
}
