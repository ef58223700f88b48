/** A host that is refused again and again in a minute is taken off the broker: its certificate is set INACTIVE until an operator says otherwise. */
import { MINUTE_MS } from '@honeymesh/intel/time';

/** The counter of the minute in which `nowMs` lies. */
export const minuteOf = (nowMs: number): number => Math.floor(nowMs / MINUTE_MS);

/** Whether these refusals are the ones that cross the line: so it is done once in a minute, whoever counts. */
export const crosses = (countBefore: number, refusals: number, limit: number): boolean => countBefore <= limit && countBefore + refusals > limit;
