/** `honeymesh events list|export|verify`. */
import type { Command } from 'commander';
import type { EventRow, Operations } from '../../control/operations.ts';
import { readInstant, readKinds, readTarget, readWhole } from '../arguments.ts';
import { type Context, instanceOf, show, withDaemon } from '../context.ts';
import { EXIT } from '../failures.ts';
import { collect, outputOption } from '../options.ts';
import { pairs, printable, table } from '../terminal.ts';

const EVENT_JSON = '{id, at, kind, source|null, port|null, protocol|null, tier|null, reasons: [], techniques: ["T1046"], origin|null, summary}';
const PAGE = 5_000;
const MOST_LISTED = 1_000_000;

export function addEvents(program: Command, context: Context): void {
  const events = program.command('events').description('what was seen and done');

  addFilters(events.command('list'))
    .description('events, newest first')
    .option('--limit <count>', 'at most so many', '100')
    .addOption(outputOption())
    .addHelpText('after', `\nJSON: [${EVENT_JSON}]`)
    .action(async ({ limit, ...filters }: Filters & { limit: string }, command: Command) => {
      const most = readWhole(limit, { min: 1, max: MOST_LISTED, what: 'limit' });
      const query = readFilters(filters, context);
      const rows = await withDaemon(command, context, async daemon => {
        const found: EventRow[] = [];
        for await (const page of newestFirst(daemon, query, most)) found.push(...page);
        return found;
      });
      show(command, context, rows, list => (list.length === 0 ? 'no events\n' : eventsText(list, context)));
    });

  addExport(addFilters(events.command('export')), context);

  events
    .command('verify')
    .description('check the hash chain of the event log: nothing was changed, nothing taken out (needs no daemon)')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExit code 1 if the log was tampered with or is damaged.\nJSON: {ok: true, events, segments, sealed, head, firstId, lastId} or {ok: false, atId|null, segment|null, why}',
    )
    .action(async (_options: unknown, command: Command) => {
      const { state } = context.pathsOf(instanceOf(command, context));
      const { verifyDirectory } = await import('../../store/verify.ts');
      const found = await verifyDirectory(state);
      show(command, context, found, one =>
        one.ok
          ? pairs([
              ['intact', `${one.events} events, ${one.firstId} to ${one.lastId}`],
              ['segments', `${one.segments}, ${one.sealed} of them sealed`],
              ['head', one.head],
            ])
          : pairs([
              ['NOT intact', one.why],
              ['at event', String(one.atId ?? 'unknown')],
              ['in segment', String(one.segment ?? 'unknown')],
            ]),
      );
      if (!found.ok) context.exitWith(EXIT.failed);
    });
}

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

async function* newestFirst(daemon: Pick<Operations, 'listEvents'>, query: Query, most: number): AsyncGenerator<readonly EventRow[]> {
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

/** All that match, oldest first, page by page: an export never holds the whole log. */
export async function* oldestFirst(daemon: Pick<Operations, 'listEvents'>, query: Query): AsyncGenerator<readonly EventRow[]> {
  let afterId = 0;
  for (;;) {
    const page = await daemon.listEvents({ ...query, afterId, ascending: true, limit: PAGE });
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    afterId = page.at(-1)?.id ?? afterId;
  }
}

const portText = ({ port, protocol }: EventRow): string => (port === null ? (protocol ?? '') : `${port}${protocol === null ? '' : `/${protocol}`}`);

export function eventsText(rows: readonly EventRow[], { terminal }: Pick<Context, 'terminal'>): string {
  return table(
    rows,
    [
      { title: 'ID', of: row => String(row.id), right: true },
      { title: 'AT', of: row => row.at },
      { title: 'KIND', of: row => `${row.kind}${row.wouldBan === true ? ' (would ban)' : ''}` },
      { title: 'SOURCE', of: row => row.source ?? '' },
      { title: 'PORT', of: portText },
      { title: 'TIER', of: row => row.tier ?? '' },
      { title: 'REASONS', of: row => row.reasons.join(',') },
      { title: 'SUMMARY', of: row => row.summary },
    ],
    terminal,
  );
}

/** One event on one line, for `tail`. */
export const eventLine = (row: EventRow): string =>
  printable([row.at, row.kind, row.source ?? '-', portText(row) || '-', row.tier ?? '-', row.summary].join('  '));
