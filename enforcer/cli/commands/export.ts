/** `honeymesh events export`: the log as a file, oldest first, page by page. */
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { EXPORT_FORMATS, type ExportFormat } from '../../store/exports.ts';
import { type Context, withDaemon } from '../context.ts';
import { addFilters, type Filters, readFilters } from '../event-queries.ts';
import { maskOption } from '../options.ts';
import { fileSink, type Sink, standardOutput } from '../sink.ts';
import { json } from '../terminal.ts';

interface Options extends Filters {
  readonly format: ExportFormat;
  readonly output: string;
  readonly proof?: string;
  readonly mask?: true;
}

const FORMATS = Object.keys(EXPORT_FORMATS) as ExportFormat[];

export function addExport(command: Command, context: Context): void {
  addFilters(command)
    .description('all events that match, oldest first, as a file')
    .addOption(new Option('--format <form>', FORMATS.map(format => `${format}: ${EXPORT_FORMATS[format].about}`).join('; ')).choices(FORMATS).default('ndjson'))
    .option('--output <file>', 'where to; - is standard output', '-')
    .option('--proof <file>', 'where the integrity proof goes; without it: beside the output file, as FILE.proof.json')
    .addOption(maskOption())
    .addHelpText(
      'after',
      '\nThe proof holds the head of the log\'s hash chain, the first and last event and the SHA-256 of the file; "events verify --proof" compares it with the log.\n' +
        'ecs, stix, cef and list also hold it as their last record; the others hold events and nothing else.',
    )
    .action(async ({ format, output, proof: proofPath, mask, ...filters }: Options, _command: Command) => {
      const query = readFilters(filters, context);
      const { exportStream } = await import('../../store/exports/stream.ts');
      await withDaemon(command, context, async daemon => {
        const stream = exportStream(
          { format, host: hostname(), mask: mask === true, filters: { ...query } },
          { tip: () => daemon.logTip(), page: ids => daemon.listEvents({ ...query, ...ids, ascending: true }), now: context.now },
        );
        const beside = proofPath ?? (output !== '-' && isPlain(output) ? `${output}.proof.json` : undefined);
        await into(output === '-' ? standardOutput(context.terminal) : await fileSink(output), async sink => {
          for await (const piece of stream.bytes) await sink.write(piece.toString());
        });
        const proof = stream.proof();
        if (beside !== undefined) await into(await fileSink(beside), sink => sink.write(`${json(proof)}\n`));
        if (output !== '-')
          context.terminal.writeError(`exported ${proof?.events.count ?? 0} events to ${output}${beside === undefined ? '' : `, its proof to ${beside}`}\n`);
      });
    });
}

/** What is there and no plain file (/dev/null, a pipe) has no place beside it. */
const isPlain = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? true;

async function into(sink: Sink, write: (sink: Sink) => Promise<void>): Promise<void> {
  try {
    await write(sink);
    await sink.done();
  } catch (error) {
    await sink.giveUp();
    throw error;
  }
}
