/** What the kernel is told before the first packet is judged, so that the operator, a regular client or a real service is never taken for an attacker. */
import type { AllowEntry } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import { kernelConfigOf } from '../config/policies.ts';
import type { Config } from '../config/schema.ts';
import { type MachineFacts, machineAllows, readListening } from '../health/machine.ts';
import type { Kernel, KernelRule, ServedPorts } from '../kernel/port.ts';
import type { TrapListeners } from './messages.ts';
import { mergePorts } from './published-ports.ts';

export interface PrimeFacts {
  readonly config: Config;
  readonly machine: MachineFacts;
  readonly sessions: readonly AllowEntry[];
  /** Ports that DNAT and the like serve. */
  readonly forwarded: ServedPorts;
  readonly listeners: TrapListeners | null;
}

/** Ports that are served for good: by the configuration's word, or forwarded. */
export const servedAlways = (config: Config, forwarded: ServedPorts): ServedPorts => mergePorts([config.services.served, forwarded]);

/** Writes it all. Returns who is allowed by itself, for the summary. */
export function primeKernel(kernel: Kernel, { config, machine, sessions, forwarded, listeners }: PrimeFacts, now: UnixMs): readonly AllowEntry[] {
  kernel.setConfig(kernelConfigOf(config, { trapPort: listeners?.port ?? 0, trapMark: listeners?.mark ?? 0, ephemeralPorts: machine.ephemeralPorts }));
  kernel.setOwnAddresses(machine.own);
  const allowed = [...machineAllows(machine, now), ...sessions];
  kernel.setRules(withAllowed(kernel.listRules(), [...config.allow, ...allowed.map(entry => entry.target)]));
  const listening = readListening(listeners?.port ?? 0);
  kernel.setServedPorts(servedAlways(config, forwarded), listening.served);
  kernel.setTrapPorts(listeners === null ? [] : config.traps.ports);
  kernel.prove(listening.peers); // proven, not allowed: else one idle connection would beat every ban
  return allowed;
}

/** What an enforcer before this one left stays (its bans go on, whom the operator allowed stays allowed) until the daemon reconciles with the ledger. */
function withAllowed(former: readonly KernelRule[], targets: readonly KernelRule['target'][]): readonly KernelRule[] {
  const wanted = new Set(targets);
  const allows = [...wanted].map((target): KernelRule => ({ target, action: 'allow', tier: 'operator', reasons: [], expiresAt: null }));
  return [...former.filter(rule => !wanted.has(rule.target)), ...allows];
}
