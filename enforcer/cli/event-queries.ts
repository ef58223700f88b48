/** Which events are asked for, and how a long answer is fetched: page by page, so that neither side holds the whole log. */
import type { Command } from 'commander';
import type { EventRow, Operations } from '../control/operations.ts';
import { readInstant, readKinds, readTarget, readWhole } from './arguments.ts';
import type { Context } from './context.ts';
import { collect } from './options.ts';

const PAGE = 5_000;

export interface Filters {
  readonly kind?: readonly string[];
  readonly source?: string;
  readonly since?: string;
  readonly until?: string;
  readonly port?: string;
}

type Query = Parameters<Operations['listEvents']>[0];

export function addFilters(command: Command): Command {
  return command
    .option('--kind <kind>', 'only of this kind; may be given several times, or several with commas', collect)
    .option('--source <target>', 'only from this address, or from inside this prefix')
    .option('--since <time>', 'not before: RFC 3339, or a time back from now such as 24h')
    .option('--until <time>', 'not after: RFC 3339, or a time back from now such as 24h')
    .option('--port <port>', 'only about this port');
}

export function readFilters({ kind, source, since, until, port }: Filters, { now }: Context): Query {
  return {
    ...(kind === undefined ? {} : { kinds: readKinds(kind) }),
    ...(source === undefined ? {} : { source: readTarget(source) }),
    ...(since === undefined ? {} : { since: readInstant(since, now()) }),
    ...(until === undefined ? {} : { until: readInstant(until, now()) }),
    ...(port === undefined ? {} : { port: readWhole(port, { min: 0, max: 65_535, what: 'port' }) }),
  };
}

/** The newest that match, page by page. */
export async function* newestFirst(daemon: Pick<Operations, 'listEvents'>, query: Query, most: number): AsyncGenerator<readonly EventRow[]> {
  let beforeId: number | undefined;
  for (let left = most; left > 0; ) {
    const asked = Math.min(left, PAGE);
    const page = await daemon.listEvents({ ...query, ...(beforeId === undefined ? {} : { beforeId }), limit: asked });
    if (page.length > 0) yield page;
    if (page.length < asked) return;
    left -= page.length;
    beforeId = page.at(-1)?.id;
  }
}
