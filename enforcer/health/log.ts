/** The daemon's own log: JSON lines on standard error, for journald or a terminal's pager. Never an attacker's raw bytes, never a secret. */
import { pino } from 'pino';
import type { LogLevel } from '../config/config.ts';

export interface Log {
  debug(what: string, detail?: Readonly<Record<string, unknown>>): void;
  info(what: string, detail?: Readonly<Record<string, unknown>>): void;
  warn(what: string, detail?: Readonly<Record<string, unknown>>): void;
  error(what: string, detail?: Readonly<Record<string, unknown>>): void;
}

export function createLog({ level, instance }: { level: LogLevel; instance: string }): Log {
  const logger = pino({ level, base: { instance }, timestamp: () => `,"at":"${new Date().toISOString()}"` }, pino.destination({ fd: 2, sync: true }));
  const write =
    (severity: 'debug' | 'info' | 'warn' | 'error') =>
    (what: string, detail: Readonly<Record<string, unknown>> = {}): void =>
      logger[severity](detail, what);
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}
