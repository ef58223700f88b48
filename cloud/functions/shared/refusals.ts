/** What a host is guilty of is counted by the minute; beyond the limit its certificate is set INACTIVE. */
import { crosses } from '../../hub/quarantine.ts';
import type { Peers } from '../../store/peers.ts';

export interface RefusalDeps {
  readonly peers: Pick<Peers, 'countRefusals' | 'quarantine'>;
  /** Sets the certificate with this id INACTIVE. */
  readonly deactivate: (certificate: string) => Promise<void>;
  readonly now: () => number;
}

/** Whether the host was quarantined by these. */
export async function countRefusals(
  { thing, principal }: { readonly thing: string; readonly principal: string | null },
  refusals: number,
  limit: number,
  { peers, deactivate, now }: RefusalDeps,
): Promise<boolean> {
  if (refusals === 0) return false;
  const after = await peers.countRefusals(thing, refusals, now());
  if (!crosses(after - refusals, refusals, limit)) return false;
  await peers.quarantine(thing, principal ?? '', now());
  if (principal !== null) await deactivate(principal);
  return true;
}
