/** Records of logged-in sessions, as values. Pure: bytes and text in, values out; what makes no sense is skipped. */
import { type Address, addressFromBytes, parseAddress } from '@honeymesh/intel/address';

export interface LoginRecord {
  readonly user: string;
  readonly line: string;
  readonly pid: number;
  readonly from: Address;
}

/** Where the fields of struct utmp lie (bits/types/struct_utmp.h). x86-64 keeps the 32-bit layout, arm64 has long ut_session and ut_tv. */
export interface UtmpLayout {
  readonly size: number;
  readonly addressAt: number;
}
export const UTMP_X64: UtmpLayout = { size: 384, addressAt: 348 };
export const UTMP_ARM64: UtmpLayout = { size: 400, addressAt: 360 };

const USER_PROCESS = 7;
const MOST_RECORDS = 4096;

/** /run/utmp: who is logged in from elsewhere. Local logins have no address and are left out. */
export function parseUtmp(bytes: Uint8Array, layout: UtmpLayout): readonly LoginRecord[] {
  const records: LoginRecord[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + layout.size <= bytes.length && records.length < MOST_RECORDS; at += layout.size) {
    if (view.getInt16(at, true) !== USER_PROCESS) continue;
    const from = utmpAddress(bytes.subarray(at + layout.addressAt, at + layout.addressAt + 16)) ?? addressOf(text(bytes.subarray(at + 76, at + 332)));
    if (from === undefined) continue;
    records.push({ user: text(bytes.subarray(at + 44, at + 76)), line: text(bytes.subarray(at + 8, at + 40)), pid: view.getInt32(at + 4, true), from });
  }
  return records;
}

/** A file of /run/systemd/sessions: undefined unless it is a remote session that is not closing. */
export function parseLogindSession(content: string): LoginRecord | undefined {
  const fields = new Map<string, string>();
  for (const line of content.slice(0, 16 * 1024).split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) fields.set(line.slice(0, equals), line.slice(equals + 1).trim());
  }
  const from = addressOf(fields.get('REMOTE_HOST') ?? '');
  if (from === undefined || fields.get('REMOTE') !== '1' || fields.get('STATE') === 'closing') return undefined;
  return { user: fields.get('USER') ?? '', line: fields.get('TTY') ?? '', pid: Number(fields.get('LEADER')), from };
}

/** SSH_CONNECTION: client address, its port, our address, our port. */
export function parseSshConnection(value: string): Address | undefined {
  const [client, clientPort, server, serverPort, ...rest] = value.split(' ');
  if (rest.length > 0 || client === undefined || server === undefined || !isPort(clientPort) || !isPort(serverPort)) return undefined;
  return addressOf(client);
}

/**
 * The user and line of a process title of OpenSSH that means a login has succeeded (session.c, "user@pts/0", "user@notty"). Before that the title
 * ends in [net], [priv], [preauth] or [accepted]: such a peer has proved nothing, and allowing it would be a free pass for everyone who connects.
 */
export function parseSshdTitle(title: string): { readonly user: string; readonly line: string } | undefined {
  const [, user, line] = /^sshd(?:-session)?: ([^\s[\]]{1,64})@((?:pts\/|tty|notty)[\w/,-]{0,64})\s*$/.exec(title.replaceAll('\0', ' ')) ?? [];
  return user === undefined || line === undefined ? undefined : { user, line };
}

/** The inode in `socket:[12345]`, what a descriptor in /proc/PID/fd links to. */
export function socketInode(link: string): number | undefined {
  const inode = /^socket:\[(\d{1,15})\]$/.exec(link)?.[1];
  return inode === undefined ? undefined : Number(inode);
}

function utmpAddress(bytes: Uint8Array): Address | undefined {
  if (bytes.every(byte => byte === 0)) return undefined;
  return addressFromBytes(bytes.subarray(4).every(byte => byte === 0) ? bytes.subarray(0, 4) : bytes);
}

/** A zone id (`fe80::1%eth0`) is cut off; names are not resolved: the answer would be the attacker's. */
function addressOf(written: string): Address | undefined {
  const address = parseAddress(written.split('%', 1)[0] ?? '');
  return address.ok ? address.value : undefined;
}

const isPort = (text: string | undefined): boolean => text !== undefined && /^\d{1,5}$/.test(text);

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end))).replace(/[^\x20-\x7e]/g, '?');
}
