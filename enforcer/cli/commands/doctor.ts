/** `honeymesh doctor`: looks at the machine and says what keeps the enforcer from working. Needs no daemon. */
import type { Command } from 'commander';
import type { Finding } from '../../health/findings.ts';
import { asError, type Context, readConfig, show } from '../context.ts';
import { EXIT } from '../failures.ts';
import { outputOption } from '../options.ts';
import { printable } from '../terminal.ts';
import { addOverrides } from './run.ts';

export function addDoctor(program: Command, context: Context): void {
  addOverrides(program.command('doctor'))
    .description('examine this machine: what works, what does not, and what mends it')
    .addOption(outputOption())
    .addHelpText('after', '\nExit code 1 if a check failed.\nJSON: [{what, ok: true|false|null, why, fix|null}]')
    .action(async (_options: unknown, command: Command) => {
      const checks = await examination(command, context);
      show(command, context, checks, list => doctorText(list, context));
      if (checks.some(check => check.ok === false)) context.exitWith(EXIT.failed);
    });
}

async function examination(command: Command, context: Context): Promise<readonly Finding[]> {
  const loaded = await readConfig(command, context);
  const { examine } = await import('../../health/doctor.ts');
  if (loaded.ok) {
    const { config, paths, path } = loaded.value;
    return [{ what: 'configuration', ok: true, why: path ?? 'built-in defaults', fix: null }, ...(await examine({ config, paths }))];
  }
  // A wrong file must not keep the rest from being examined; a wrong instance name leaves nothing to examine.
  const { message } = await asError(loaded.problems);
  const { defaultConfig } = await import('../../config/units.ts');
  const { instanceOf } = await import('../context.ts');
  const paths = context.pathsOf(instanceOf(command, context));
  return [
    { what: 'configuration', ok: false, why: message.replaceAll('\n', '; '), fix: 'correct the configuration; the rest was examined with the defaults' },
    ...(await examine({ config: defaultConfig, paths })),
  ];
}

function doctorText(checks: readonly Finding[], { terminal }: Context): string {
  const mark = ({ ok }: Finding): string => {
    const [word, colour] = ok === true ? ['ok  ', '32'] : ok === false ? ['FAIL', '31'] : ['?   ', '33'];
    return terminal.colours ? `\u001b[${colour}m${word}\u001b[0m` : word;
  };
  return checks
    .map(check => `${mark(check)}  ${printable(check.what)}: ${printable(check.why)}\n${check.fix === null ? '' : `      fix: ${printable(check.fix)}\n`}`)
    .join('');
}
