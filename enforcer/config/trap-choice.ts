/** How the configuration chose the traps' ports, in one word. */
import type { Config } from './config.ts';

export const TRAP_CHOICES = ['typical', 'all', 'list', 'off'] as const;
export type TrapChoice = (typeof TRAP_CHOICES)[number];

export function trapChoiceOf({ traps: { ports } }: Pick<Config, 'traps'>): TrapChoice {
  if (typeof ports === 'string') return ports;
  return ports.tcp.length + ports.udp.length === 0 ? 'off' : 'list';
}
