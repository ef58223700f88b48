/**
 * Orders in several lanes, without a pause and through every crash, and a memory of what was acknowledged: what the daemon answered for must hold from
 * then on. Each acknowledged ban is hammered at once; nobody sends in the name of these targets otherwise, so whatever of them comes through is a gap.
 */
import { setImmediate as immediate } from 'node:timers/promises';
import { contains, type Prefix } from '@honeymesh/intel/address';
import { type ControlClient, connectControl } from '#enforcer/control/client.ts';
import type { AllowRow, BanRow } from '#enforcer/control/operations.ts';
import { HoneyMeshError } from '#enforcer/errors.ts';
import type { Hammer } from '#test/support/chaos-wire.ts';
import type { Random } from '#test/support/oracle/random.ts';

/** `held`: a ban, or an entry of the allow-list. `open`: an order was under way when the daemon went; either may be true. */
export type Acknowledged = 'held' | 'lifted' | 'open';

export interface Orders {
  readonly acknowledged: ReadonlyMap<string, Acknowledged>;
  readonly answered: number;
  /** Refusals and other answers that no crash explains. */
  readonly strange: readonly string[];
  /** Settles what was open by what the daemon says now: the targets of its bans and of its allow-list. */
  settle(listed: ReadonlySet<string>): Promise<void>;
  /** Resolves when no order is under way. */
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

const LANES = 4;
const TARGETS_A_LANE = 120;
const AGAIN_MS = 20;

/** An address or prefix of a lane: most are IPv4 addresses, some IPv6 addresses, /64, prefixes that are rules in the kernel, and addresses to be allowed. */
function targetOf(lane: number, at: number): string {
  if (at % 12 === 0) return `10.91.${lane * 16 + at / 12}.0/24`;
  if (at % 12 === 1) return `fd91:${lane + 1}::${(at + 1).toString(16)}/128`;
  if (at % 12 === 2) return `fd92:${lane + 1}:0:${(at + 1).toString(16)}::/64`;
  if (at % 12 === 3) return `10.95.${lane}.${at}/32`;
  return `10.92.${lane}.${at}/32`;
}

const isToBeAllowed = (target: string): boolean => target.startsWith('10.95.');

/** A source inside the target. */
const sourceIn = (target: string): string => (target.endsWith('::/64') ? `${target.slice(0, -3)}77` : target.replace(/\.0\/24$/, '.77').replace(/\/\d+$/, ''));

/** Sources that only the hammer uses, and only while they are banned. */
export const isHammered = (source: string): boolean => /^(10\.9[12]\.|fd9[12]:)/.test(source);

export function createOrders(socketPath: string, hammer: Hammer, random: Random): Orders {
  const acknowledged = new Map<string, Acknowledged>();
  const strange: string[] = [];
  let answered = 0;
  let stopped = false;
  let gate: PromiseWithResolvers<void> | null = null;
  const busy = new Set<Promise<void>>();

  async function order(control: ControlClient, target: string): Promise<void> {
    const lift = acknowledged.get(target) === 'held';
    const toBeAllowed = isToBeAllowed(target);
    if (lift && !toBeAllowed) await hammer.remove(sourceIn(target));
    acknowledged.set(target, 'open');
    if (toBeAllowed) await (lift ? control.removeAllowed({ target }) : control.addAllowed({ target }));
    else if (lift) await control.removeBan({ target });
    else await control.addBan({ target, ...(random.chance(0.3) ? { ttl: '24h' } : {}) });
    answered++;
    acknowledged.set(target, lift ? 'lifted' : 'held');
    if (!lift && !toBeAllowed) await hammer.add(sourceIn(target));
  }

  async function lane(number: number): Promise<void> {
    let control: ControlClient | undefined;
    while (!stopped) {
      if (gate !== null) {
        await gate.promise;
        continue;
      }
      try {
        control ??= await connectControl(socketPath);
        const target = targetOf(number, random.below(TARGETS_A_LANE));
        const state = acknowledged.get(target);
        // More bans than lifts, so that most of the lane is banned most of the time.
        if (state === 'open' || (state === 'held' && random.chance(0.6))) {
          await immediate();
          continue;
        }
        const step = order(control, target);
        busy.add(step);
        await step.finally(() => busy.delete(step));
      } catch (error) {
        if (!(error instanceof HoneyMeshError && error.code === 'HM_DAEMON_DOWN')) strange.push(String(error));
        control?.close();
        control = undefined;
        await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
      }
    }
    control?.close();
  }

  const lanes = Array.from({ length: LANES }, (_, at) => lane(at));
  const resume = (): void => {
    gate?.resolve();
    gate = null;
  };
  return {
    acknowledged,
    get answered() {
      return answered;
    },
    strange,
    async settle(listed) {
      for (const [target, state] of acknowledged) {
        if (state !== 'open') continue;
        acknowledged.set(target, listed.has(target) ? 'held' : 'lifted');
        if (listed.has(target) && !isToBeAllowed(target)) await hammer.add(sourceIn(target));
      }
    },
    async pause() {
      gate ??= Promise.withResolvers();
      await Promise.allSettled([...busy]);
    },
    resume,
    async stop() {
      stopped = true;
      resume();
      await Promise.all(lanes);
    },
  };
}

/** What the daemon says now. */
export interface Listed {
  readonly bans: readonly BanRow[];
  readonly allowed: readonly AllowRow[];
}

export const targetsOf = ({ bans, allowed }: Listed): ReadonlySet<string> => new Set([...bans, ...allowed].map(({ target }) => target));

/** What the daemon must not have forgotten: sentences about what it did. `known`: bans that a list has shown before, made by evidence. */
export function brokenPromises(orders: Orders, listed: Listed, known: readonly BanRow[]): string[] {
  const targets = targetsOf(listed);
  const idle = new Set(listed.bans.filter(({ enforced }) => !enforced).map(({ target }) => target));
  const broken: string[] = [];
  for (const [target, state] of orders.acknowledged) {
    const what = isToBeAllowed(target) ? 'allow entry' : 'ban';
    if (state === 'held' && !targets.has(target)) broken.push(`lost the ${what} of ${target}`);
    if (state === 'held' && idle.has(target)) broken.push(`does not enforce ${target}`);
    if (state === 'lifted' && targets.has(target)) broken.push(`undid the lift of the ${what} of ${target}`);
  }
  // Many addresses of a network become one ban of it.
  for (const { target } of known) {
    if (!listed.bans.some(row => row.enforced && contains(row.target as Prefix, target as Prefix)))
      broken.push(`lost the ban of ${target}, which came of evidence`);
  }
  return broken;
}
