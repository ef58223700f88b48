/** `honeymesh completion bash`. */
import { Argument, type Command } from 'commander';
import { bashCompletion } from '../completion.ts';
import type { Context } from '../context.ts';

export function addCompletion(program: Command, { terminal }: Context): void {
  program
    .command('completion')
    .description('print what a shell needs to complete commands and options')
    .addArgument(new Argument('<shell>', 'for which shell').choices(['bash', 'zsh']))
    .addHelpText('after', '\nhoneymesh completion bash >/etc/bash_completion.d/honeymesh\nzsh: source <(honeymesh completion zsh)')
    .action((shell: string) => {
      terminal.write(`${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}${bashCompletion(program)}`);
    });
}
