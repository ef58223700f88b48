/**
 * One message per 500 ms and peer, over what was signed and in the order of its numbers: what was admitted of an epoch must be a stream that a leaky bucket
 * (one each 500 ms, 50 ms of slack) would have let through. That holds for a set, whatever the order of arrival: an honest peer's messages, delivered late,
 * reversed or twice, are a part of such a stream and so are never refused, and of a liar's no more come through than of an honest peer's.
 *
 * For all i < j of the admitted, in the order of seq: issuedAt[j] - issuedAt[i] >= (j - i) * 500 ms - 50 ms (GCRA, ITU-T I.371, with the virtual
 * scheduling unrolled).
 */

export interface Paced {
  readonly seq: number;
  readonly issuedAt: number;
}

export const PACE_MS = 500;
export const PACE_SLACK_MS = 50;

/** Whether `one` may join `admitted`, which is in the order of seq and keeps the pace already. Its own number must not be in there. */
export function keepsPace(admitted: readonly Paced[], one: Paced): boolean {
  let at = 0;
  while (at < admitted.length && (admitted[at]?.seq ?? 0) < one.seq) at++;
  const before = excess(admitted.slice(0, at), one, -1);
  const after = excess(admitted.slice(at), one, 1);
  return before + after <= PACE_SLACK_MS;
}

/** How far the worst stretch that ends (or begins) with `one` is ahead of the pace, at least 0. */
function excess(others: readonly Paced[], one: Paced, direction: 1 | -1): number {
  let worst = 0;
  for (let at = 0; at < others.length; at++) {
    const other = others[direction === 1 ? at : others.length - 1 - at];
    if (other === undefined) break;
    const apartMs = (other.issuedAt - one.issuedAt) * direction;
    worst = Math.max(worst, (at + 1) * PACE_MS - apartMs);
  }
  return worst;
}

/** Signed time is kept in pieces, so that no message costs more than a small item, however late it comes. */
export const SPAN_MS = 300_000;
/** So close to the edge of a piece, the piece beyond must not change meanwhile. */
const EDGE_MS = 1_000;

export interface Span {
  readonly epoch: number;
  /** issuedAt / SPAN_MS, rounded down. */
  readonly index: number;
}

export const spanOf = ({ epoch, issuedAt }: { readonly epoch: number; readonly issuedAt: number }): Span => ({ epoch, index: Math.floor(issuedAt / SPAN_MS) });

/** The spans whose messages must be known to judge one, its own first; `guarded`: of these, those that must be unchanged when it is written down. */
export function neighbourhood(one: { readonly epoch: number; readonly issuedAt: number }): {
  readonly spans: readonly Span[];
  readonly guarded: readonly Span[];
} {
  const own = spanOf(one);
  const beside = (step: number): Span => ({ epoch: own.epoch, index: own.index + step });
  const intoMs = one.issuedAt - own.index * SPAN_MS;
  const guarded = [...(intoMs < EDGE_MS ? [beside(-1)] : []), ...(intoMs >= SPAN_MS - EDGE_MS ? [beside(1)] : [])];
  return { spans: [own, beside(-1), beside(1)], guarded };
}
