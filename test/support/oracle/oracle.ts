/**
 * The packet path of docs/packet-path.md once more, written from that page alone and as plainly as can be: what the kernel must
 * decide for a frame. Linear, allocating, slow; that is the point. It shares no code with `bpf/` or `enforcer/kernel/`.
 */
import { keyOfHex } from './addresses.ts';
import { judgeConfined } from './confined.ts';
import { dissectL3, dissectL4, type L3, type L4Outcome } from './dissect.ts';
import { createModel, findBan, findRule, flowKey, type Model } from './model.ts';
import { isConnectedTo, isDhcp, isForwarded, isRecent, isServed, isTcpOpen } from './ports.ts';
import { type FourTuple, noSockets, type Scenario, type Sockets } from './scenario.ts';
import { ACK, isAnomaly, RST, SYN } from './tcp-flags.ts';
import { crosses, exceeds, flooded, floodVerdict, isShunned, type OracleEvent, type Suspect } from './tracker.ts';

export type OracleVerdict =
  | 'pass'
  | 'pass-allowed'
  | 'pass-not-ip'
  | 'drop-ban'
  | 'drop-prefix'
  | 'drop-malformed'
  | 'drop-anomaly'
  | 'drop-shun'
  | 'drop-scan'
  | 'drop-flood'
  | 'drop-policed'
  | 'drop-lockdown'
  | 'drop-udp-excess'
  | 'drop-confined';

export interface Judgement {
  readonly verdict: OracleVerdict;
  /** Which counters took it, and whether the frame is gone: section 10. */
  readonly bank: 'enforced' | 'would' | 'paused';
  readonly dropped: boolean;
  readonly events: readonly OracleEvent[];
}

export interface Oracle {
  readonly model: Model;
  judge(frame: Uint8Array, nowNs: bigint): Judgement;
}

const IDENT = 113;
const DISCOVERY_PORTS = [137, 1900, 5353];

/** The scenario as the kernel would hold it at `startNs`. `judge` changes the state as the kernel would: frames in order, time never back. */
export function createOracle(scenario: Scenario, startNs: bigint, sockets: Sockets = noSockets): Oracle {
  const model = createModel(scenario, startNs, sockets);
  return {
    model,
    judge(frame, nowNs) {
      const events: OracleEvent[] = [];
      const verdict = decide(model, frame, nowNs, event => events.push(event));
      const bank = model.pausedUntilNs > nowNs ? 'paused' : model.settings.mode === 'observe' ? 'would' : 'enforced';
      return { verdict, bank, dropped: bank === 'enforced' && verdict.startsWith('drop-'), events };
    },
  };
}

/** Sections 1 to 4. */
function decide(model: Model, frame: Uint8Array, nowNs: bigint, emit: (event: OracleEvent) => void): OracleVerdict {
  const outcome = dissectL3(frame);
  if (outcome.what === 'not-ip') return 'pass-not-ip';
  if (outcome.what === 'malformed') return 'drop-malformed';
  const { l3 } = outcome;

  const ban = findBan(model, l3.family, l3.from, nowNs);
  const rule = findRule(model, l3.family, l3.from, nowNs);
  if (rule?.action === 'allow') return 'pass-allowed';
  if (rule?.action === 'deny') {
    rule.drops++;
    return 'drop-prefix';
  }
  const proven = isProven(model, l3.from, nowNs);
  const suspect: Suspect = { model, key: keyOfHex(l3.from), source: l3.from, proven, confined: ban?.confined === true, nowNs, emit };
  if (ban !== undefined) {
    const verdict = ban.confined ? judgeConfined(suspect, frame, l3) : 'drop-ban';
    if (verdict !== 'drop-ban' && verdict !== 'drop-confined') return verdict;
    ban.drops++;
    if (ban.drops === 1n) emit({ kind: 'ban-hit', source: l3.from, port: 0, reasons: [], fastPorts: 0, slowPorts: 0, shunMs: 0, proven });
    return verdict;
  }
  if (l3.clipped) return 'drop-malformed';

  if (!model.own.has(l3.family === 4 ? `00000000000000000000ffff${l3.to}` : l3.to)) return 'pass';

  const l4 = dissectL4(frame, l3);
  switch (l4.what) {
    case 'malformed':
      return 'drop-malformed';
    case 'pass':
    case 'discovery':
      return 'pass';
    case 'tiny-fragment':
      return crosses(suspect, l4.toPort, 'malformed') ? scanVerdict(suspect) : 'drop-malformed';
    case 'tcp':
      return judgeTcp(suspect, l3, l4);
    case 'udp':
      return judgeUdp(suspect, l3, l4);
    case 'echo':
      return judgeEcho(suspect);
  }
}

/** Section 6.1. */
function isProven(model: Model, source: string, nowNs: bigint): boolean {
  const at = model.proven.get(keyOfHex(source));
  return at !== undefined && at + model.settings.provenTtlNs > nowNs;
}

const scanVerdict = ({ proven }: Suspect): OracleVerdict => (proven ? 'drop-policed' : 'drop-scan');

/** Section 5. */
function judgeTcp(suspect: Suspect, l3: L3, { fromPort, toPort, flags }: L4Outcome & { what: 'tcp' }): OracleVerdict {
  const { settings } = suspect.model;
  const tuple: FourTuple = { family: l3.family, from: l3.from, fromPort, to: l3.to, toPort };
  if (isAnomaly(flags)) {
    if (isTcpOpen(suspect, tuple)) return 'drop-anomaly';
    return crosses(suspect, toPort, 'flag') ? scanVerdict(suspect) : 'drop-anomaly';
  }
  if ((flags & RST) !== 0 || (flags & (SYN | ACK)) === (SYN | ACK)) return 'pass';
  if ((flags & SYN) !== 0) return judgeSyn(suspect, tuple);

  const ephemeral = toPort >= settings.ephemeralLow && toPort <= settings.ephemeralHigh;
  if (ephemeral || isTcpOpen(suspect, tuple) || (toPort === IDENT && isConnectedTo(suspect)) || isForwarded(suspect, tuple)) return 'pass';
  if (isShunned(suspect, 'tcp')) return 'drop-shun';
  return crosses(suspect, toPort, 'flag') ? scanVerdict(suspect) : 'pass';
}

/** Section 6. */
function judgeSyn(suspect: Suspect, tuple: FourTuple): OracleVerdict {
  const { settings } = suspect.model;
  if (settings.mode === 'lockdown' && !suspect.proven) return 'drop-lockdown';
  if (tuple.toPort === IDENT && isConnectedTo(suspect)) return 'pass';
  if (isShunned(suspect, 'tcp')) {
    if (!suspect.proven) return 'drop-shun';
    if (!isTcpOpen(suspect, tuple)) return 'drop-policed';
    return exceeds(suspect, 'syn', settings.synPerSecond) ? 'drop-policed' : 'pass';
  }
  if (exceeds(suspect, 'syn', settings.synPerSecond)) {
    flooded(suspect, 'tcp', tuple.toPort);
    return floodVerdict(suspect);
  }
  if (isTcpOpen(suspect, tuple)) return 'pass';
  return crosses(suspect, tuple.toPort, 'syn') ? scanVerdict(suspect) : 'pass';
}

/** Section 7. */
function judgeUdp(suspect: Suspect, l3: L3, { fromPort, toPort }: L4Outcome & { what: 'udp' }): OracleVerdict {
  const { model, nowNs } = suspect;
  const { settings } = model;
  if (isDhcp(fromPort, toPort) || DISCOVERY_PORTS.includes(toPort)) return 'pass';
  const exceedsOpen = (): boolean => settings.openUdpPerSecond !== 0 && exceeds(suspect, 'udp-open', settings.openUdpPerSecond);
  if (isRecent(model, flowKey('udp', l3.from, fromPort, toPort), nowNs))
    return isServed(model, 'udp', toPort, nowNs) && exceedsOpen() ? 'drop-udp-excess' : 'pass';
  const socket = model.sockets.udp({ family: l3.family, from: l3.from, fromPort, to: l3.to, toPort });
  const found = socket !== null && settings.trapUdpPort !== 0 && socket.port === settings.trapUdpPort ? null : socket;
  if (found?.state === 'connected') return 'pass';
  if (found !== null && model.served.get(`udp ${toPort}`) !== 'always') model.served.set(`udp ${toPort}`, nowNs);
  if (settings.mode === 'lockdown' && !suspect.proven) return 'drop-lockdown';
  const open = found !== null || isServed(model, 'udp', toPort, nowNs);
  if (isShunned(suspect, 'udp')) {
    if (!suspect.proven) return 'drop-shun';
    if (!open) return 'drop-policed';
  }
  if (open) {
    return exceedsOpen() ? 'drop-udp-excess' : 'pass';
  }
  if (exceeds(suspect, 'udp-closed', settings.udpPerSecond)) {
    flooded(suspect, 'udp', toPort);
    return floodVerdict(suspect);
  }
  return crosses(suspect, toPort, 'udp') ? scanVerdict(suspect) : 'pass';
}

/** Section 8. */
function judgeEcho(suspect: Suspect): OracleVerdict {
  if (isShunned(suspect, 'echo') && !suspect.proven) return 'drop-shun';
  if (exceeds(suspect, 'echo', suspect.model.settings.echoPerSecond)) {
    flooded(suspect, 'echo', 0);
    return floodVerdict(suspect);
  }
  return 'pass';
}
