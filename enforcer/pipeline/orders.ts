/** What the operator orders: bans and the allow-list. Each order answers when it is enforced and on disk, or says why it is not. */
import { bitsOf, contains, familyOf, networkOf, type Prefix, prefixOf } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import type { AllowRow, DryRunReport, Operations } from '../control/operations.ts';
import { HoneyMeshError } from '../errors.ts';
import type { Kernel } from '../kernel/port.ts';
import type { Ledger } from '../ledger/decisions.ts';
import { allowRow, type BanList } from './ban-list.ts';
import type { Pipeline, Settled } from './pipeline.ts';
import { endOf, readTarget } from './texts.ts';

type Orders = Pick<Operations, 'addBan' | 'dryRunBan' | 'removeBan' | 'importBans' | 'addAllowed' | 'removeAllowed' | 'listAllowed'>;

export interface OrdersDeps {
  readonly pipeline: Pipeline;
  readonly ledger: Ledger;
  readonly kernel: Kernel;
  readonly banList: BanList;
  readonly now: () => UnixMs;
}

export function createOrders({ pipeline, ledger, kernel, banList, now }: OrdersDeps): Orders {
  async function ban(target: Prefix, expiresAt: UnixMs | null, note: string | undefined): Promise<Settled> {
    const settled = await pipeline.order({ kind: 'order-ban', target, expiresAt, ...(note === undefined ? {} : { note }) });
    const refusal = settled.decisions.find(decision => decision.kind === 'refuse');
    if (refusal?.kind === 'refuse') throw new HoneyMeshError('HM_REFUSED', `${target} is not banned: ${refusal.why}`, { fix: refusal.fix });
    const unenforced = settled.outcomes.find(outcome => outcome.target === target && !outcome.enforced);
    if (unenforced !== undefined) {
      throw new HoneyMeshError('HM_MAP', `${target} is in the ledger but not in force: the kernel's map is full`, {
        fix: 'lift bans, or raise bans.capacity; it is tried again each second',
      });
    }
    if (!settled.stored) throw notStored(`${target} is banned`, 'only the kernel remembers it');
    return settled;
  }

  return {
    async addBan(order) {
      const target = readTarget(order.target);
      await ban(target, endOf(order.ttl, now()), order.note);
      const made = ledger.banOn(target, now());
      if (made === null) throw new HoneyMeshError('HM_REFUSED', `${target} is not banned`, { fix: `"honeymesh explain ${networkOf(target)}" tells why` });
      return banList.row(made);
    },

    dryRunBan(order) {
      const target = readTarget(order.target);
      const dry = ledger.dryRun(target, now());
      const report: DryRunReport = {
        target,
        refused: dry.refused?.why ?? null,
        fix: dry.refused?.fix ?? null,
        addresses: dry.addresses,
        allowedWithin: dry.allowedWithin.map(allowRow),
        bystanders: dry.bystanders,
        bansWithin: dry.bansWithin.length,
        coveredBy: dry.coveredBy?.target ?? null,
      };
      return Promise.resolve(report);
    },

    async removeBan(order) {
      const target = readTarget(order.target);
      const shuns = shunsOn(kernel, target);
      if (shuns.length > 0) {
        kernel.removeShuns(shuns);
        await pipeline.record([
          {
            at: now(),
            kind: 'lift',
            source: target,
            port: null,
            protocol: null,
            tier: 'E0',
            reasons: [],
            origin: 'operator',
            summary: `lifted the shun of ${target}: by order`,
            target,
          },
        ]);
      }
      const settled = await pipeline.order({ kind: 'order-lift', target });
      const lifted = settled.decisions.flatMap(decision => (decision.kind === 'lift' ? [decision.ban.target] : []));
      const removed = [...new Set([...lifted, ...shuns])];
      const refusal = settled.decisions.find(decision => decision.kind === 'refuse');
      const held = ledger.banOn(target, now()) !== null; // a shun of the same target went, which lets nobody in
      if (lifted.length > 0 && !settled.stored) throw notStored(`the ban of ${lifted.join(', ')} is lifted`, 'a crash would bring it back');
      if (removed.length > 0 && !(held && lifted.length === 0)) return { removed };
      if (refusal?.kind === 'refuse') throw new HoneyMeshError('HM_REFUSED', `${target} stays banned: ${refusal.why}`, { fix: refusal.fix });
      throw new HoneyMeshError('HM_NOT_FOUND', `${target} is not banned`, { fix: `"honeymesh explain ${networkOf(target)}" tells what holds for it` });
    },

    async importBans(order) {
      const expiresAt = endOf(order.ttl, now());
      const refused: { line: number; text: string; why: string }[] = [];
      let added = 0;
      const waiting: Promise<void>[] = [];
      for (const [at, line] of order.lines.entries()) {
        const text = line.replace(/[#;].*$/, '').trim();
        if (text === '') continue;
        const one = async (): Promise<void> => {
          try {
            await ban(readTarget(text), expiresAt, order.note);
            added++;
          } catch (error) {
            if (!(error instanceof HoneyMeshError)) throw error;
            refused.push({ line: at + 1, text: text.slice(0, 64), why: error.message });
          }
        };
        waiting.push(one());
        if (waiting.length >= 1_000) await Promise.all(waiting.splice(0)); // the log commits in batches, the loop stays free
      }
      await Promise.all(waiting);
      return { added, refused: refused.sort((one, other) => one.line - other.line) };
    },

    listAllowed: () => Promise.resolve(ledger.allowed().map(allowRow)),

    async addAllowed(order): Promise<AllowRow> {
      const target = readTarget(order.target);
      const settled = await pipeline.order({
        kind: 'allow',
        entry: { target, cause: 'operator', why: order.note ?? 'by order of the operator', since: now() },
      });
      const refusal = settled.decisions.find(decision => decision.kind === 'refuse');
      if (refusal?.kind === 'refuse') throw new HoneyMeshError('HM_REFUSED', `${target} is not allowed: ${refusal.why}`, { fix: refusal.fix });
      if (!settled.stored) throw notStored(`${target} is allowed`, 'a crash would forget it');
      const entry = ledger.allowOn(target);
      if (entry === null) throw new HoneyMeshError('HM_REFUSED', `${target} is not allowed`, { fix: '"honeymesh status" tells what is degraded' });
      return allowRow(entry);
    },

    async removeAllowed(order) {
      const target = readTarget(order.target);
      const settled = await pipeline.order({ kind: 'disallow', target });
      const removed = settled.decisions.flatMap(decision => (decision.kind === 'disallow' ? [decision.entry.target] : []));
      if (removed.length > 0 && !settled.stored) throw notStored(`${removed.join(', ')} is no longer allowed`, 'a crash would allow it again');
      if (removed.length > 0) return { removed };
      const refusal = settled.decisions.find(decision => decision.kind === 'refuse');
      if (refusal?.kind === 'refuse') throw new HoneyMeshError('HM_REFUSED', `${target} stays allowed: ${refusal.why}`, { fix: refusal.fix });
      throw new HoneyMeshError('HM_NOT_FOUND', `${target} is not on the allow-list`, { fix: '"honeymesh allow list" shows what is' });
    },
  };
}

/** What was ordered is in force, but nobody may take it for acknowledged: the disk refused. */
const notStored = (done: string, until: string): HoneyMeshError =>
  new HoneyMeshError('HM_STORE_READ_ONLY', `${done}, but that is not on disk: the event log cannot be written`, {
    fix: `"honeymesh status" tells why; it is written as soon as that is mended, until then ${until}`,
  });

/** The shuns that lie in `target`, or that a single IPv6 address falls under (they are kept by /64). */
function shunsOn(kernel: Kernel, target: Prefix): readonly Prefix[] {
  const wide = familyOf(target) === 6 && bitsOf(target) > 64 ? prefixOf(networkOf(target), 64) : target;
  return kernel.listShuns().flatMap(shun => (contains(wide, shun.target) ? [shun.target] : []));
}
