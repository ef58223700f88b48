/** Under which addresses others may reach this host, and how they are written. */
import { networkInterfaces } from 'node:os';
import { parseTarget } from '../node/places.ts';

/** `HOST:PORT`, IPv6 in brackets. */
export const withPort = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** Without port and brackets; the text itself where it is no place. */
export function hostPart(place: string): string {
  const read = parseTarget(place);
  return read.ok ? read.value.host : place;
}

/** Addresses of this host that are not of one link or one machine only, IPv4 first. */
export function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces())
    .flat()
    .filter(entry => entry !== undefined && !entry.internal && !entry.address.startsWith('fe80:'))
    .map(entry => entry?.address ?? '');
  return [...all.filter(address => !address.includes(':')), ...all.filter(address => address.includes(':'))];
}
