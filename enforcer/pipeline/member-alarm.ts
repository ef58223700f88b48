/** Own evidence bans a member like anybody: no membership is a pass. But a member that attacks is news for its operator, at once. */
import { isHostPrefix, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import type { DegradedBoard } from '../health/degraded.ts';
import type { Decision, Ledger } from '../ledger/decisions.ts';
import type { MeshPeer } from '../mesh/port.ts';
import { eventOf } from './mesh-desk.ts';
import type { Pipeline } from './pipeline.ts';

export interface MemberAlarmDeps {
  readonly membersIn: (target: Prefix) => readonly MeshPeer[];
  readonly ledger: Pick<Ledger, 'banOn'>;
  readonly pipeline: Pick<Pipeline, 'record'>;
  readonly degraded: DegradedBoard;
  readonly now: () => UnixMs;
}

export interface MemberAlarm {
  decided(decisions: readonly Decision[]): void;
  /** Every second: alarms whose ban is over are cleared. */
  tick(): void;
}

const MOST_ALARMS = 64;

export function createMemberAlarm({ membersIn, ledger, pipeline, degraded, now }: MemberAlarmDeps): MemberAlarm {
  const alarms = new Map<Prefix, string>();

  function raise({ target, tier, reasons }: Ban): void {
    const [member] = membersIn(target);
    if (member === undefined || alarms.has(target)) return;
    const site = member.site === null ? '' : ` (${member.site})`;
    const why = `the member ${member.name}${site} at ${member.address} attacks this host: ${reasons.join(', ')} (${tier})`;
    const at = now();
    void pipeline.record([
      {
        ...eventOf('peer', at),
        source: isHostPrefix(target) ? networkOf(target) : target,
        tier,
        reasons,
        summary: `${why}, and is banned by it`,
        target,
        detail: { what: 'attacked', name: member.name, address: member.address },
      },
    ]);
    if (alarms.size >= MOST_ALARMS) return;
    const key = `member ${target}`;
    alarms.set(target, key);
    const fix = `look at that host; "honeymesh mesh revoke ${member.name}" takes its certificate, "honeymesh bans remove ${target}" lifts the ban`;
    degraded.raise({ part: 'mesh', why: `${why}, and is banned by it`, fix }, key);
  }

  return {
    decided(decisions) {
      for (const decision of decisions) {
        if (decision.kind !== 'ban' && decision.kind !== 'aggregate') continue;
        const { ban } = decision;
        if (ban.advised === undefined && (ban.tier === 'E1' || ban.tier === 'E2')) raise(ban);
      }
    },
    tick() {
      const at = now();
      for (const [target, key] of alarms) {
        if (ledger.banOn(target, at) !== null) continue;
        alarms.delete(target);
        degraded.clear('mesh', key);
      }
    },
  };
}
