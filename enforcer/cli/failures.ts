/** How a command ends: exit codes and what is printed when it fails. */
import { HoneyMeshBug, HoneyMeshError } from '../errors.ts';
import { printable } from './terminal.ts';

export const EXIT = { done: 0, failed: 1, usage: 2, daemonDown: 3 } as const;

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof HoneyMeshError)) return EXIT.failed;
  switch (error.code) {
    case 'HM_USAGE':
    case 'HM_CONFIG':
      return EXIT.usage;
    case 'HM_DAEMON_DOWN':
      return EXIT.daemonDown;
    default:
      return EXIT.failed;
  }
}

/** The message, then what to do; a bug of ours with the place where it happened. */
export function failureText(error: unknown): string {
  if (error instanceof HoneyMeshError) return `${lines('honeymesh: ', error.message)}${error.fix === undefined ? '' : lines('fix: ', error.fix)}`;
  if (error instanceof HoneyMeshBug) {
    const detail = Object.keys(error.detail).length === 0 ? '' : `detail: ${printable(JSON.stringify(error.detail))}\n`;
    return `${lines('honeymesh: ', error.message)}${detail}`;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `honeymesh: this is a bug: ${lines('', stack)}${lines('fix: ', 'please report it with the output of "honeymesh doctor -o json"')}`;
}

/** Several problems are several lines; nothing else in a message may break one. */
const lines = (prefix: string, text: string): string =>
  text
    .split('\n')
    .map(line => `${prefix}${printable(line)}\n`)
    .join('');

export const usage = (message: string, fix: string): HoneyMeshError => new HoneyMeshError('HM_USAGE', message, { fix });
