/** The command line as commander's objects: the CLI runs them, the reference in docs/reference/cli.md is made from them. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../version.ts';
import { addAllow } from './commands/allow.ts';
import { addBans } from './commands/bans.ts';
import { addCompletion } from './commands/completion.ts';
import { addConfig } from './commands/config.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEvents } from './commands/events.ts';
import { addExplain } from './commands/explain.ts';
import { addHub } from './commands/hub.ts';
import { addMesh } from './commands/mesh.ts';
import { addNotify } from './commands/notify.ts';
import { addPause } from './commands/pause.ts';
import { addPeers } from './commands/peers.ts';
import { addRun } from './commands/run.ts';
import { addStatus } from './commands/status.ts';
import { addStop } from './commands/stop.ts';
import { addSupport } from './commands/support.ts';
import { addTail } from './commands/tail.ts';
import { addToken } from './commands/token.ts';
import { addUnload } from './commands/unload.ts';
import type { CliDeps, Context } from './context.ts';
import { EXIT, exitCodeOf, failureText, usage } from './failures.ts';

export function createProgram(context: Context): Command {
  const program = new Command('honeymesh')
    .description('HoneyMesh: every closed port a trap, every proven attacker dropped in the kernel.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .option('--instance <name>', 'the enforcer this is about, where several run on one host (HONEYMESH_INSTANCE; default: main)')
    .option('--config <file>', 'configuration file (HONEYMESH_CONFIG; default: /etc/honeymesh/config.yaml)')
    .exitOverride()
    .configureOutput({
      writeOut: text => context.terminal.write(text),
      writeErr: text => context.terminal.writeError(text),
      // Printed once and in our own form, by runCli.
      outputError: () => {},
    });
  for (const add of [
    addRun,
    addStatus,
    addBans,
    addAllow,
    addEvents,
    addPeers,
    addExplain,
    addTail,
    addPause,
    addStop,
    addUnload,
    addDoctor,
    addConfig,
    addNotify,
    addSupport,
    addCompletion,
    addMesh,
    addToken,
    addHub,
  ])
    add(program, context);
  return program;
}

/** Runs one command line (without `node` and the script) and returns its exit code. Never throws. */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  let code: number = EXIT.done;
  const context: Context = {
    ...deps,
    exitWith: given => {
      code = given;
    },
  };
  try {
    await createProgram(context).parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage; // the help itself was printed
    const failure = error instanceof CommanderError ? commandLineError(error) : error;
    deps.terminal.writeError(failureText(failure));
    return exitCodeOf(failure);
  }
}

/** Commander's `error: unknown command 'stauts'\n(Did you mean status?)` in the form of all our errors. */
function commandLineError(error: CommanderError): Error {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const meant = /^\(Did you mean (.*)\?\)$/.exec(rest.join(' ').trim())?.[1];
  return usage(first, meant === undefined ? '"honeymesh help" lists the commands, "honeymesh help COMMAND" their options' : `did you mean ${meant}?`);
}
