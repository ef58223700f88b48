/** Section 12 of docs/packet-path.md: whoever is confined talks to traps and to nothing else. */
import { dissectL4, type L3 } from './dissect.ts';
import { flowKey } from './model.ts';
import type { OracleVerdict } from './oracle.ts';
import { areTrapsAlive, isDhcp, isRecent, isServed, isTcpOpen, isTrapPort } from './ports.ts';
import type { FoundSocket, FourTuple } from './scenario.ts';
import { ACK, FIN, isAnomaly, RST, SYN } from './tcp-flags.ts';
import { crosses, exceeds, flooded, floodVerdict, isShunned, type Suspect } from './tracker.ts';

export function judgeConfined(suspect: Suspect, frame: Uint8Array, l3: L3): OracleVerdict {
  const { model, nowNs } = suspect;
  if (l3.clipped) return 'drop-confined';
  const l4 = dissectL4(frame, l3);
  if (l4.what === 'discovery') return 'pass';
  if (!('firstFragment' in l4) || l4.firstFragment || !model.own.has(l3.family === 4 ? `00000000000000000000ffff${l3.to}` : l3.to)) return 'drop-confined';
  if (!areTrapsAlive(model, nowNs) || model.settings.trapMark === 0) return 'drop-confined';
  const tuple: FourTuple = { family: l3.family, from: l3.from, fromPort: l4.fromPort, to: l3.to, toPort: l4.toPort };
  return l4.what === 'tcp' ? confinedTcp(suspect, tuple, l4.flags) : confinedUdp(suspect, tuple);
}

/** 12.3. That a cookie comes back is nothing that the oracle could know: no frame here has one. */
function confinedTcp(suspect: Suspect, tuple: FourTuple, flags: number): OracleVerdict {
  const { model } = suspect;
  if (isAnomaly(flags)) return 'drop-confined';
  const opens = (flags & (SYN | ACK | RST | FIN)) === SYN;
  const socket = model.sockets.tcp(tuple);
  if (socket === null) {
    return opens && isTrapPort(model, 'tcp', tuple.toPort) && !isTcpOpen(suspect, tuple, false) ? opening(suspect, 'tcp', tuple.toPort, true) : 'drop-confined';
  }
  if (!isTraps(suspect, socket)) return 'drop-confined';
  return opens ? opening(suspect, 'tcp', tuple.toPort, socket.state === 'open' && socket.port === tuple.toPort) : 'pass';
}

/** 12.4 */
function confinedUdp(suspect: Suspect, tuple: FourTuple): OracleVerdict {
  const { model, nowNs } = suspect;
  const { fromPort, toPort } = tuple;
  const socket = model.sockets.udp(tuple);
  const steered = (): boolean =>
    isTrapPort(model, 'udp', toPort) &&
    !isDhcp(fromPort, toPort) &&
    !isServed(model, 'udp', toPort, nowNs) &&
    !isRecent(model, flowKey('udp', tuple.from, fromPort, toPort), nowNs);
  const trapped = socket === null ? steered() : isTraps(suspect, socket);
  return trapped ? opening(suspect, 'udp', toPort, true) : 'drop-confined';
}

/** 12.5 */
function opening(suspect: Suspect, kind: 'tcp' | 'udp', port: number, isProbe: boolean): OracleVerdict {
  const { synPerSecond, udpPerSecond } = suspect.model.settings;
  if (kind === 'tcp' ? exceeds(suspect, 'syn', synPerSecond) : exceeds(suspect, 'udp-closed', udpPerSecond)) {
    if (!isShunned(suspect, kind)) flooded(suspect, kind, port);
    return floodVerdict(suspect);
  }
  if (isProbe) crosses(suspect, port, kind === 'tcp' ? 'syn' : 'udp');
  return 'pass';
}

const isTraps = ({ model }: Suspect, socket: FoundSocket): boolean => socket.mark === model.settings.trapMark;
