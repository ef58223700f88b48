/** Watches the room on the disk that holds the log: an alarm before it is full. */
import { statfs } from 'node:fs/promises';
import type { DegradedBoard } from './degraded.ts';

export interface DiskWatchOptions {
  readonly directory: string;
  /** Below this it is an alarm, bytes. */
  readonly lowBytes: number;
}

/** Looks once; call it every now and then. A directory that cannot be asked is the store's complaint, not ours. */
export async function lookAtDisk({ directory, lowBytes }: DiskWatchOptions, degraded: DegradedBoard): Promise<void> {
  try {
    const { bavail, bsize } = await statfs(directory);
    if (bavail * bsize >= lowBytes) degraded.clear('disk', 'low');
    else
      degraded.raise(
        {
          part: 'disk',
          why: `less than ${Math.round(lowBytes / 2 ** 20)} MiB are free where the event log lies (${directory})`,
          fix: 'make room, or shorten store.retention; enforcement does not depend on it',
        },
        'low',
      );
  } catch {
    degraded.clear('disk', 'low');
  }
}
