/** `honeymesh run`: loads, attaches and opens what the configuration says, and stays. */
import { type Command, Option } from 'commander';
import { type Context, requireConfig } from '../context.ts';
import { collect } from '../options.ts';

export function addRun(program: Command, context: Context): void {
  addOverrides(program.command('run'))
    .description('load the packet filter, attach it, open the traps, and guard until told to stop (needs root)')
    .addHelpText('after', '\nCtrl-C takes everything off again; SIGTERM, "honeymesh stop" and a crash leave enforcement on ("honeymesh unload" takes it off).')
    .action(async (_options: unknown, command: Command) => {
      const { config, path, instance, paths } = await requireConfig(command, context);
      const { launch } = await import('../../launch/launcher.ts');
      context.exitWith(await launch({ config, configPath: path, instance, paths, interactive: context.terminal.interactive }));
    });
}

/** What overrides the file, for the commands that read it. */
export function addOverrides(command: Command): Command {
  return command
    .option('--interface <name>', 'guard this interface; may be given several times (HONEYMESH_INTERFACE, separated by commas)', collect)
    .addOption(new Option('--mode <mode>', 'observe, enforce or lockdown (HONEYMESH_MODE)'));
}
