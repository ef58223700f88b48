/**
 * The head of the log in a small file of its own. A chain cannot tell that its end was cut off; a note of where the end was can. Two slots
 * are written in turn, each with a checksum, so that a torn write leaves the other. It is written after the commit, never before: what it
 * names is on disk.
 */
import { hash } from 'node:crypto';
import { closeSync, constants, fdatasyncSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Head {
  readonly lastId: number;
  readonly hash: string;
  readonly seals: number;
  readonly sealsHash: string;
  readonly retired: number;
  readonly retiredHash: string;
}

export interface HeadFile {
  /** Overwrites the older slot. The page cache has it at once: a killed process loses nothing. */
  write(head: Head): void;
  /** Puts what was written on disk. */
  sync(): void;
  close(): void;
}

const SLOT_BYTES = 512; // a sector: written whole or not at all by most disks
const MAGIC = 'honeymesh-head-1';

export const headPath = (directory: string): string => join(directory, 'events.head');

/** The newest valid slot; null where the file is missing or holds none. Throws only what the file system says besides ENOENT. */
export function readHead(directory: string): Head | null {
  let text: string;
  try {
    text = readFileSync(headPath(directory), 'latin1').slice(0, 2 * SLOT_BYTES);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  const slots = [readSlot(text.slice(0, SLOT_BYTES)), readSlot(text.slice(SLOT_BYTES))].filter(slot => slot !== null);
  return slots.reduce<Head | null>((newest, slot) => (newest === null || isNewer(slot, newest) ? slot : newest), null);
}

/** Opens or creates the file; a new one is on disk, and so is its name, when this returns. */
export function openHeadFile(directory: string, head: Head): HeadFile {
  const path = headPath(directory);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  let slot = 0;
  let dirty = false;
  const write = (next: Head): void => {
    writeSync(fd, slotText(next), slot * SLOT_BYTES, 'latin1');
    slot = 1 - slot;
    dirty = true;
  };
  write(head);
  write(head);
  fsyncSync(fd);
  dirty = false;
  const folder = openSync(dirname(path), constants.O_RDONLY);
  fsyncSync(folder);
  closeSync(folder);
  return {
    write,
    sync() {
      if (dirty) fdatasyncSync(fd);
      dirty = false;
    },
    close: () => closeSync(fd),
  };
}

function slotText(head: Head): string {
  const body = [MAGIC, head.lastId, head.hash, head.seals, head.sealsHash, head.retired, head.retiredHash].join(' ');
  return `${body} ${checksum(body)}`.padEnd(SLOT_BYTES - 1).concat('\n');
}

function readSlot(text: string): Head | null {
  const match = /^(honeymesh-head-1 (\d{1,15}) ([0-9a-f]{64}) (\d{1,15}) ([0-9a-f]{64}) (\d{1,15}) ([0-9a-f]{64})) ([0-9a-f]{16}) *\n?$/.exec(text);
  if (match === null || checksum(match[1] ?? '') !== match[8]) return null;
  return {
    lastId: Number(match[2]),
    hash: match[3] ?? '',
    seals: Number(match[4]),
    sealsHash: match[5] ?? '',
    retired: Number(match[6]),
    retiredHash: match[7] ?? '',
  };
}

const checksum = (body: string): string => hash('sha256', body, 'hex').slice(0, 16);

function isNewer(one: Head, other: Head): boolean {
  if (one.lastId !== other.lastId) return one.lastId > other.lastId;
  return one.seals !== other.seals ? one.seals > other.seals : one.retired > other.retired;
}
