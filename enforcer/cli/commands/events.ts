/** `honeymesh events list|export|verify`. */
import type { Command } from 'commander';
import { maskRow } from '../../control/masking.ts';
import type { EventRow } from '../../control/operations.ts';
import { readWhole } from '../arguments.ts';
import { type Context, instanceOf, show, withDaemon } from '../context.ts';
import { addFilters, type Filters, newestFirst, readFilters } from '../event-queries.ts';
import { eventsText } from '../event-text.ts';
import { EXIT } from '../failures.ts';
import { maskOption, outputOption } from '../options.ts';
import { pairs } from '../terminal.ts';
import { addExport } from './export.ts';

const EVENT_JSON = '{id, at, kind, source|null, port|null, protocol|null, tier|null, reasons: [], techniques: ["T1046"], origin|null, summary}';
const MOST_LISTED = 1_000_000;

export function addEvents(program: Command, context: Context): void {
  const events = program.command('events').description('what was seen and done');

  addFilters(events.command('list'))
    .description('events, newest first')
    .option('--limit <count>', 'at most so many', '100')
    .addOption(outputOption())
    .addOption(maskOption())
    .addHelpText('after', `\nJSON: [${EVENT_JSON}]`)
    .action(async ({ limit, mask, ...filters }: Filters & { limit: string; mask?: true }, command: Command) => {
      const most = readWhole(limit, { min: 1, max: MOST_LISTED, what: 'limit' });
      const query = readFilters(filters, context);
      const rows = await withDaemon(command, context, async daemon => {
        const found: EventRow[] = [];
        for await (const page of newestFirst(daemon, query, most)) found.push(...(mask === true ? page.map(maskRow) : page));
        return found;
      });
      show(command, context, rows, list => (list.length === 0 ? 'no events\n' : eventsText(list, context.terminal)));
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
