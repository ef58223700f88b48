/** `honeymesh stop`: the daemon ends, enforcement goes on. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import { HoneyMeshError } from '../../errors.ts';
import { type Context, instanceOf, withDaemon } from '../context.ts';

const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 100;

export function addStop(program: Command, context: Context): void {
  program
    .command('stop')
    .description('end the daemon; bans stay in force and end by themselves ("honeymesh unload" takes enforcement off)')
    .action(async (_options: unknown, command: Command) => {
      await withDaemon(command, context, daemon => daemon.stop());
      const { socket } = context.pathsOf(instanceOf(command, context));
      await gone(socket);
      context.terminal.write('stopped; the kernel goes on enforcing ("honeymesh unload" takes that off)\n');
    });
}

async function gone(socket: string): Promise<void> {
  const { connectControl } = await import('../../control/client.ts');
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    try {
      (await connectControl(socket)).close();
    } catch {
      return;
    }
    await wait(LOOK_EVERY_MS);
  }
  throw new HoneyMeshError('HM_DAEMON_DOWN', `the daemon did not end within ${PATIENCE_MS / 1000} s`, {
    fix: 'look at its log; killing it leaves enforcement on',
  });
}
