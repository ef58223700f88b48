/** `honeymesh config check|show`. Needs no daemon. */
import type { Command } from 'commander';
import type { Loaded, Source } from '../../config/load.ts';
import { asError, type Context, readConfig, requireConfig, show } from '../context.ts';
import { EXIT, failureText } from '../failures.ts';
import { outputOption } from '../options.ts';
import { json, printable } from '../terminal.ts';
import { addOverrides } from './run.ts';

export function addConfig(program: Command, context: Context): void {
  const config = program.command('config').description('the configuration');

  addOverrides(config.command('check'))
    .description('check the configuration and tell all that is wrong with it; changes nothing')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExit code 2 if something is wrong.\nJSON: {ok, file|null, problems: [{where, line|null, column|null, key|null, message}], notes: [text]}',
    )
    .action(async ({ output }: { output: string }, command: Command) => {
      const { terminal } = context;
      const result = await readConfig(command, context);
      if (!result.ok) context.exitWith(EXIT.usage);
      const notes = result.ok ? await notesOn(result.value) : [];
      const file = result.ok ? result.value.path : (command.optsWithGlobals<{ config?: string }>().config ?? context.environment.HONEYMESH_CONFIG ?? null);
      if (output === 'json') terminal.write(`${json({ ok: result.ok, file, problems: result.ok ? [] : result.problems, notes })}\n`);
      else if (result.ok)
        terminal.write([`${file ?? 'built-in defaults'}: ok`, ...notes.map(note => `note: ${note}`)].map(line => `${printable(line)}\n`).join(''));
      else terminal.writeError(failureText(await asError(result.problems)));
    });

  addOverrides(config.command('show'))
    .description('the configuration as it holds: file, environment and flags over the defaults')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nThe human form is a configuration file that gives the same, with where each value came from; the key of the mesh is not shown.\nJSON: the same keys.',
    )
    .action(async (_options: unknown, command: Command) => {
      const loaded = await requireConfig(command, context);
      const { fileOf, withoutSecrets } = await import('../../config/units.ts');
      show(command, context, fileOf(withoutSecrets(loaded.config)), file => configText(file, loaded));
    });
}

/** What is right in the file and yet not what holds. */
async function notesOn({ config, paths }: Loaded): Promise<readonly string[]> {
  if (config.mesh?.key === undefined) return [];
  const { peek } = await import('../../mesh/thread/peek.ts');
  const { keyNote } = await import('../../mesh/thread/plan.ts');
  const note = keyNote(config.mesh, (await peek(`${paths.state}/mesh`)).keys);
  return note === null ? [] : [note.text];
}

function configText(file: Readonly<Record<string, unknown>>, { path, sources, instance }: Loaded): string {
  const lines = [`# instance ${instance}, ${path === null ? 'no configuration file' : printable(path)}`];
  const write = (group: Readonly<Record<string, unknown>>, above: readonly string[]): void => {
    for (const [name, value] of Object.entries(group)) {
      const indent = '  '.repeat(above.length);
      const key = [...above, name].join('.');
      if (isGroup(value)) {
        lines.push(`${indent}${name}:`);
        write(value, [...above, name]);
      } else {
        lines.push(`${indent}${name}: ${flow(value)}  # ${sourceText(sources.get(key))}`);
      }
    }
  };
  write(file, []);
  return `${lines.join('\n')}\n`;
}

const isGroup = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** JSON is YAML's flow style; plain words need no quotes. */
const flow = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.map(flow).join(', ')}]`
    : typeof value === 'string' && /^[a-z0-9][\w./-]*$/i.test(value) && Number.isNaN(Number(value))
      ? value
      : json(value, 0);

function sourceText(source: Source | undefined): string {
  switch (source?.from) {
    case 'file':
      return source.line === null ? 'file' : `file, line ${source.line}`;
    case 'environment':
    case 'flag':
      return source.name;
    default:
      return 'default';
  }
}
