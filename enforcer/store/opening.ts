/** From whatever lies in the directory to a log that can be written: a damaged one is set aside and a new one takes over what of the ledger can be read. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { unixMs } from '@honeymesh/intel/time';
import { createPrivately, damagedLogs, examine, salvage, setAside } from './damage.ts';
import { failureOf } from './failures.ts';
import { changesOf, NOTHING, readLedger } from './ledger-tables.ts';
import { type Log, type LogOptions, openLog } from './log.ts';

export interface Opening {
  readonly log: Log;
  readonly notes: readonly string[];
}

/** `damage` is what was found while the log was in use: then it is set aside unseen. Throws for what no new file can mend. */
export function openOrReplace(options: LogOptions, nowMs: number, damage: string | null): Opening {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const found = damage === null ? examine(options.directory) : ({ state: 'damaged', why: damage } as const);
  if (found.state === 'damaged') return replace(options, nowMs, found.why);
  if (found.state === 'new') return begin(options, null);
  let log: Log | undefined;
  try {
    log = openLog(options);
    const { unreadable } = readLedger(log.db);
    return {
      log,
      notes: [
        ...(found.state === 'good-without-head'
          ? ['the head file of the event log was missing: whether events were cut off at its end before now cannot be told']
          : []),
        ...(unreadable > 0 ? [`${unreadable} rows of the ledger hold what was never written and are left out`] : []),
      ],
    };
  } catch (error) {
    log?.close();
    if (failureOf(error, options.directory).kind !== 'damaged') throw error;
    return replace(options, nowMs, error instanceof Error ? error.message : String(error));
  }
}

function replace(options: LogOptions, nowMs: number, why: string): Opening {
  setAside(options.directory, unixMs(nowMs));
  return begin(options, why);
}

/** A new log. One that was set aside may be older than this attempt: the disk could have been full when the new one was to be made. */
function begin(options: LogOptions, why: string | null): Opening {
  const aside = damagedLogs(options.directory).at(-1);
  const { ledger, unreadable } = aside === undefined ? { ledger: NOTHING, unreadable: 0 } : salvage(options.directory, aside);
  createPrivately(options.directory);
  const log = openLog(options, changesOf(ledger));
  if (aside === undefined) return { log, notes: [] };
  const saved = `${ledger.bans.length} bans, ${ledger.allowed.length} allow-list entries and ${ledger.offences.length} offences were taken over from it`;
  const lost = unreadable > 0 ? '; some of its ledger could not be read' : '';
  const because = why === null ? '' : ` (${why})`;
  return { log, notes: [`the event log was damaged${because}; it was set aside as ${join(options.directory, aside)} and a new one begun; ${saved}${lost}`] };
}
