/** What the disk, the file system or SQLite said, as something an operator can act on. */
import { type ErrorCode, HoneyMeshError } from '../errors.ts';

/** `full`, `read-only`, `busy` and `failing` may pass by themselves; `damaged` needs a new file, `newer` another version of the program; `bug` is a batch that the
 * file's own constraints refuse. */
export type FailureKind = 'full' | 'read-only' | 'busy' | 'failing' | 'damaged' | 'newer' | 'bug';

export interface Failure {
  readonly kind: FailureKind;
  readonly why: string;
  readonly fix: string;
}

/** The log is not what this program wrote. */
export class DamagedLog extends Error {
  override readonly name = 'DamagedLog';
}

/** The log was written by a newer version. */
export class NewerLog extends Error {
  override readonly name = 'NewerLog';
}

const CODES: Readonly<Record<FailureKind, ErrorCode>> = {
  full: 'HM_DISK_FULL',
  'read-only': 'HM_STORE_READ_ONLY',
  busy: 'HM_STORE_READ_ONLY',
  failing: 'HM_STORE_READ_ONLY',
  damaged: 'HM_STORE_CORRUPT',
  newer: 'HM_STORE_NEWER',
  bug: 'HM_STORE_READ_ONLY',
};

export const errorOf = (failure: Failure): HoneyMeshError => new HoneyMeshError(CODES[failure.kind], failure.why, { fix: failure.fix });

export function failureOf(error: unknown, directory: string): Failure {
  const said = error instanceof Error ? error.message : String(error);
  const kind = kindOf(error);
  switch (kind) {
    case 'full':
      return {
        kind,
        why: `the disk is full: the event log in ${directory} cannot grow (${said})`,
        fix: `free space on the file system of ${directory} ("df -h ${directory}"), or lower store.retention`,
      };
    case 'read-only':
      return {
        kind,
        why: `the event log in ${directory} cannot be written (${said})`,
        fix: `make ${directory} and all files in it writable for the user that the daemon runs as ("ls -la ${directory}", "mount | grep ro,")`,
      };
    case 'busy':
      return { kind, why: `another program holds the event log in ${directory} (${said})`, fix: `"fuser -v ${directory}/events.db" shows who; stop it` };
    case 'damaged':
      return {
        kind,
        why: `the event log in ${directory} is damaged: ${said}`,
        fix: '"honeymesh events verify" says where; a backup of the directory can be put back while the daemon is stopped',
      };
    case 'newer':
      return { kind, why: said, fix: `install the newer HoneyMesh again, or move ${directory} away to start a new log` };
    case 'bug':
      return {
        kind,
        why: `the event log in ${directory} refused what it was given (${said})`,
        fix: 'this is a bug in HoneyMesh: please report it with the output of "honeymesh doctor -o json"',
      };
    case 'failing':
      return {
        kind,
        why: `the event log in ${directory} cannot be written (${said})`,
        fix: `look for errors of the disk under ${directory} ("dmesg", "smartctl")`,
      };
  }
}

function kindOf(error: unknown): FailureKind {
  if (error instanceof DamagedLog) return 'damaged';
  if (error instanceof NewerLog) return 'newer';
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // SQLITE_IOERR_SHMSIZE: the index of the write-ahead log found no room
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE' || code === 'ENOSPC' || code === 'EDQUOT') return 'full';
  // SQLITE_ERROR: our statements are fixed, so a table or column of ours is gone
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB' || code === 'SQLITE_ERROR') return 'damaged';
  if (
    code.startsWith('SQLITE_CONSTRAINT') ||
    code === 'SQLITE_MISMATCH' ||
    code === 'SQLITE_TOOBIG' ||
    error instanceof TypeError ||
    error instanceof RangeError
  )
    return 'bug';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'busy';
  if (
    code.startsWith('SQLITE_READONLY') ||
    code.startsWith('SQLITE_CANTOPEN') ||
    code === 'SQLITE_PERM' ||
    code === 'EROFS' ||
    code === 'EACCES' ||
    code === 'EPERM'
  )
    return 'read-only';
  return 'failing';
}
