/** `honeymesh events export`: the log as a file, oldest first, page by page. */
import { type Command, Option } from 'commander';
import { maskRow } from '../../control/masking.ts';
import type { ExportFormat } from '../../store/exports.ts';
import { type Context, withDaemon } from '../context.ts';
import { type Filters, oldestFirst, readFilters } from '../event-queries.ts';
import { maskOption } from '../options.ts';
import { fileSink, standardOutput } from '../sink.ts';
import { safeJson } from '../terminal.ts';

export function addExport(command: Command, context: Context): void {
  command
    .description('all events that match, oldest first, as a file')
    .addOption(
      new Option('--format <form>', 'json: one array; ndjson: one object a line; csv: RFC 4180 with a head')
        .choices(['json', 'ndjson', 'csv'])
        .default('ndjson'),
    )
    .option('--output <file>', 'where to; - is standard output', '-')
    .addOption(maskOption())
    .action(async ({ format, output, mask, ...filters }: Filters & { format: ExportFormat; output: string; mask?: true }, _command: Command) => {
      const query = readFilters(filters, context);
      const { createExport } = await import('../../store/exports.ts');
      await withDaemon(command, context, async daemon => {
        const sink = output === '-' ? standardOutput(context.terminal) : await fileSink(output);
        let count = 0;
        try {
          const form = createExport(format);
          const safe = format === 'csv' ? (text: string): string => text : safeJson;
          await sink.write(form.head);
          for await (const page of oldestFirst(daemon, query)) {
            count += page.length;
            await sink.write(safe(form.rows(mask === true ? page.map(maskRow) : page)));
          }
          await sink.write(form.foot);
          await sink.done();
        } catch (error) {
          await sink.giveUp();
          throw error;
        }
        if (output !== '-') context.terminal.writeError(`exported ${count} events to ${output}\n`);
      });
    });
}
