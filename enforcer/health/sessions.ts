/**
 * Who is logged in to this host from elsewhere just now: allowed while it lasts, so that the operator is never locked out. Root sees most (sshd's own
 * sockets); without capabilities utmp and logind are left. Sources that have not logged in are never among them.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Address, hostPrefix } from '@honeymesh/intel/address';
import type { AllowEntry } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import { readBounded, sockets } from './machine.ts';
import { isLoopback, TCP_ESTABLISHED } from './machine-tables.ts';
import { type LoginRecord, parseLogindSession, parseSshConnection, parseSshdTitle, parseUtmp, socketInode, UTMP_ARM64, UTMP_X64 } from './sessions-records.ts';

export interface SessionWatch {
  /** The peers of sessions that are open at `now`; `since` stays while a session does. */
  current(now: UnixMs): readonly AllowEntry[];
}

export interface SessionWatchOptions {
  /** SSH_CONNECTION of the terminal that started us, or null. */
  readonly sshConnection: string | null;
  /** Whether that terminal is still there. Asked at each look. */
  readonly terminalLives: () => boolean;
}

/** Where sessions are looked for; a test gives others. */
export interface SessionSources {
  logins(): readonly LoginRecord[];
  sshd(): readonly LoginRecord[];
}

export function createSessionWatch(options: SessionWatchOptions, sources: SessionSources = createSessionSources()): SessionWatch {
  const since = new Map<string, UnixMs>();
  const started = options.sshConnection === null ? undefined : parseSshConnection(options.sshConnection);
  let startedSeen = false;
  let startedOver = false;

  return {
    current(now) {
      const found = new Map<Address, string>();
      for (const login of [...sources.sshd(), ...sources.logins()]) {
        if (!isLoopback(login.from) && !found.has(login.from))
          found.set(login.from, `${login.user || 'somebody'} is logged in from there${login.line === '' ? '' : ` (${login.line})`}`);
      }
      if (started !== undefined && !startedOver) {
        // Once a record of the session was seen, its end is the record's end; else the terminal that started us must do.
        if (found.has(started)) startedSeen = true;
        else if (startedSeen || !options.terminalLives()) startedOver = true;
        else if (!isLoopback(started)) found.set(started, 'HoneyMesh was started from there (SSH_CONNECTION)');
      }
      const entries = [...found].map(([from, why]): AllowEntry => {
        const target = hostPrefix(from);
        if (!since.has(target)) since.set(target, now);
        return { target, cause: 'session', why, since: since.get(target) ?? now };
      });
      for (const target of since.keys()) if (!entries.some(entry => entry.target === target)) since.delete(target);
      return entries;
    },
  };
}

/** The real sources. The table of TCP sockets, which may be large, is read only when an sshd session appears that was not there before. */
function createSessionSources(): SessionSources {
  const known = new Map<string, LoginRecord>();
  return {
    logins: () => [...utmp(), ...logind()],
    sshd() {
      const sessions = sshdProcesses();
      const names = new Set(sessions.map(session => session.name));
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
      const fresh = sessions.filter(session => !known.has(session.name));
      if (fresh.length > 0) {
        const peers = new Map(
          sockets('tcp')
            .filter(row => row.state === TCP_ESTABLISHED)
            .map(row => [row.inode, row.remote]),
        );
        for (const session of fresh) {
          const from = inodesOf(session.pid)
            .map(inode => peers.get(inode))
            .find(peer => peer !== undefined);
          if (from !== undefined) known.set(session.name, { user: session.user, line: session.line, pid: session.pid, from });
        }
      }
      return [...known.values()];
    },
  };
}

function utmp(): readonly LoginRecord[] {
  try {
    const records = parseUtmp(readFileSync('/run/utmp'), process.arch === 'arm64' ? UTMP_ARM64 : UTMP_X64);
    return records.filter(record => processLives(record.pid)); // a crashed login leaves its record behind
  } catch {
    return [];
  }
}

function logind(): readonly LoginRecord[] {
  const folder = '/run/systemd/sessions';
  return entriesOf(folder).flatMap(name => {
    const record = /^[A-Za-z0-9]+$/.test(name) ? parseLogindSession(readBounded(`${folder}/${name}`, 16 * 1024)) : undefined;
    return record !== undefined && processLives(record.pid) ? [record] : [];
  });
}

function sshdProcesses(): readonly { readonly pid: number; readonly name: string; readonly user: string; readonly line: string }[] {
  return entriesOf('/proc').flatMap(entry => {
    if (!/^\d+$/.test(entry)) return [];
    const title = readBounded(`/proc/${entry}/cmdline`, 512);
    const session = title.startsWith('sshd') ? parseSshdTitle(title) : undefined;
    // Anybody may call a process "sshd: root@pts/0"; the file that it runs is the kernel's word (and root's to read).
    if (session === undefined || !/\/sshd(-session)?( \(deleted\))?$/.test(linkOf(`/proc/${entry}/exe`))) return [];
    return [{ pid: Number(entry), name: `${entry} ${title}`, ...session }];
  });
}

const inodesOf = (pid: number): readonly number[] => entriesOf(`/proc/${pid}/fd`).flatMap(fd => socketInode(linkOf(`/proc/${pid}/fd/${fd}`)) ?? []);

function processLives(pid: number): boolean {
  const stat = readBounded(`/proc/${pid}/stat`, 1024);
  return stat !== '' && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
