/** Who is behind a port, by sections 5 and 7 of docs/packet-path.md: a service, a trap, nobody. */
import { flowKey, type Model, SECOND_NS } from './model.ts';
import type { FourTuple } from './scenario.ts';
import type { Suspect } from './tracker.ts';

const FORWARDED_NS = 9_000n * SECOND_NS;

/** Port state, section 5. Writes `served` as the kernel does; once a second at most makes no difference to a verdict. */
export function isTcpOpen({ model, nowNs }: Suspect, tuple: FourTuple, write = true): boolean {
  const inGrace = isServed(model, 'tcp', tuple.toPort, nowNs);
  const at = model.served.get(`tcp ${tuple.toPort}`);
  if (inGrace && (at === 'always' || (at !== undefined && nowNs - at < SECOND_NS))) return true;
  const found = model.sockets.tcp(tuple);
  if (found === null) return inGrace;
  if (found.state === 'connected') return true;
  if (model.settings.trapPort !== 0 && found.port === model.settings.trapPort) return inGrace;
  if (write) model.served.set(`tcp ${tuple.toPort}`, nowNs);
  return true;
}

export function isServed(model: Model, transport: 'tcp' | 'udp', port: number, nowNs: bigint): boolean {
  const at = model.served.get(`${transport} ${port}`);
  return at === 'always' || (at !== undefined && at + model.settings.graceNs > nowNs);
}

export function isConnectedTo({ model, source, nowNs }: Suspect): boolean {
  return isRecent(model, flowKey('tcp', source, 0, 0), nowNs);
}

export function isForwarded({ model, nowNs }: Suspect, { from, fromPort, toPort }: FourTuple): boolean {
  return isRecent(model, flowKey('tcp', from, fromPort, toPort), nowNs, FORWARDED_NS);
}

export function isRecent(model: Model, flow: string, nowNs: bigint, ttlNs = model.settings.flowTtlNs): boolean {
  const at = model.flowsOut.get(flow);
  return at !== undefined && at + ttlNs > nowNs;
}

/** "Trap port", section 5. */
export function isTrapPort(model: Model, transport: 'tcp' | 'udp', port: number): boolean {
  const listens = transport === 'tcp' ? model.settings.trapPort : model.settings.trapUdpPort;
  return port !== 0 && listens !== 0 && model.trapPorts.has(`${transport} ${port}`);
}

export const areTrapsAlive = ({ heartbeatNs, settings }: Model, nowNs: bigint): boolean =>
  heartbeatNs !== null && heartbeatNs + settings.heartbeatTtlNs > nowNs;

export const isDhcp = (fromPort: number, toPort: number): boolean => (fromPort === 67 && toPort === 68) || (fromPort === 547 && toPort === 546);
