/** The protocols whose messages are binary. */
import type { TrapProtocol } from './machine.ts';

export const BINARY_PROTOCOLS: readonly TrapProtocol[] = [];
