/** Withdrawals as the hub keeps count of them. Whoever receives one judges it alone; here it only ends what is counted. */
import type { Prefix } from '@honeymesh/intel/address';
import type { Withdrawal } from '@honeymesh/intel/advisories';
import type { Envelope, KeyId } from '@honeymesh/intel/envelope';
import { itemId } from './numbers.ts';

export interface Retraction {
  readonly kid: KeyId;
  /** What is taken back: the envelope, or these targets up to and with it. */
  readonly id: string;
  readonly targets: readonly Prefix[] | 'whole';
}

/** What this envelope takes back. Nobody takes back the future: a withdrawal of what its signer had not said by then says nothing. */
export function retractionsOf({ kid, epoch, seq }: Envelope, withdrawals: readonly Withdrawal[]): readonly Retraction[] {
  return withdrawals
    .filter(one => one.epoch < epoch || (one.epoch === epoch && one.seq < seq))
    .map(one => ({ kid, id: itemId(one.epoch, one.seq), targets: one.targets.length === 0 ? 'whole' : one.targets }));
}
