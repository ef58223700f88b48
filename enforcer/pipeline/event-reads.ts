/** Reading the log for the operator: questions in texts, answers as rows; and the live feed. */
import { EVENT_KINDS, type EventKind } from '@honeymesh/intel/events';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Operations } from '../control/operations.ts';
import { HoneyMeshError } from '../errors.ts';
import { toEventRow } from '../store/exports.ts';
import type { Store } from '../store/port.ts';
import type { Pipeline } from './pipeline.ts';
import { readInstant, readTarget } from './texts.ts';

export function createEventReads({
  store,
  pipeline,
  now,
}: {
  store: Store;
  pipeline: Pipeline;
  now: () => UnixMs;
}): Pick<Operations, 'listEvents' | 'logTip' | 'tail'> {
  return {
    async listEvents({ since, until, kinds, source, ...rest }) {
      await pipeline.settled(); // what an order just did is there to be read
      const events = await store.query({
        ...rest,
        ...(since === undefined ? {} : { since: readInstant(since, now()) }),
        ...(until === undefined ? {} : { until: readInstant(until, now()) }),
        ...(kinds === undefined ? {} : { kinds: kinds.map(readKind) }),
        ...(source === undefined ? {} : { source: readTarget(source) }),
      });
      return events.map(toEventRow);
    },
    async logTip() {
      await pipeline.settled();
      return store.tip();
    },
    tail: (onEvent, signal) => pipeline.listen(event => onEvent(toEventRow(event)), signal),
  };
}

function readKind(text: string): EventKind {
  const kind = EVENT_KINDS.find(known => known === text);
  if (kind !== undefined) return kind;
  throw new HoneyMeshError('HM_USAGE', `there is no event kind "${text}"`, { fix: `the kinds are ${EVENT_KINDS.join(', ')}` });
}
