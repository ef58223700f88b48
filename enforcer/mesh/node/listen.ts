/** One port for UDP and TCP, and the address that others are told. */

import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import type { Endpoint } from '../protocol/core/endpoint.ts';
import type { Acceptor } from './acceptor.ts';
import { type DatagramHooks, type Datagrams, openDatagrams } from './datagrams.ts';
import { endpointFrom, hostOf } from './places.ts';

export type PortFault = 'in-use' | 'not-allowed' | 'no-such-address' | 'unavailable';

export interface Sides {
  readonly datagrams: DatagramHooks;
  readonly acceptor: (host: string, port: number) => Promise<Acceptor>;
}

/** A free TCP port may be taken on UDP: then another is drawn. */
const MOST_TRIES = 16;

const FAULTS: Readonly<Record<string, PortFault>> = {
  EADDRINUSE: 'in-use',
  EACCES: 'not-allowed',
  EPERM: 'not-allowed',
  EADDRNOTAVAIL: 'no-such-address',
  ENOTFOUND: 'no-such-address',
  EINVAL: 'no-such-address',
};

const faultOf = (error: unknown): PortFault => FAULTS[(error as NodeJS.ErrnoException).code ?? ''] ?? 'unavailable';

/** `port` 0: any that is free for both. */
export async function openPort(host: string, port: number, sides: Sides): Promise<Parsed<{ datagrams: Datagrams; acceptor: Acceptor }, PortFault>> {
  let fault: PortFault = 'in-use';
  for (let tries = 0; tries < (port === 0 ? MOST_TRIES : 1); tries++) {
    let acceptor: Acceptor;
    try {
      acceptor = await sides.acceptor(host, port);
    } catch (error) {
      return unparsed(faultOf(error));
    }
    try {
      return parsed({ datagrams: await openDatagrams(host, acceptor.port, sides.datagrams), acceptor });
    } catch (error) {
      await acceptor.close();
      fault = faultOf(error);
      if (fault !== 'in-use') return unparsed(fault);
    }
  }
  return unparsed(fault);
}

/** `0.0.0.0` and `::`. */
export const isAnywhere = (bind: string): boolean => endpointFrom(bind, 0)?.address.every(byte => byte === 0) === true;

/** What is bound, if that is one address; else the first private IPv4 of this host, as memberlist does, or whatever it has. */
export function advertisedAddress(bind: string, port: number): Endpoint {
  const bound = endpointFrom(bind, port);
  if (bound !== null && !isAnywhere(bind)) return bound;
  const candidates = Object.values(networkInterfaces())
    .flat()
    .filter(entry => entry !== undefined && !entry.internal && !entry.address.startsWith('fe80:'))
    .map(entry => entry?.address ?? '');
  const usable = candidates.filter(address => isIPv6(bind) || !isIPv6(address));
  const best = usable.find(isPrivate) ?? usable[0] ?? (isIPv6(bind) ? '::1' : '127.0.0.1');
  return endpointFrom(best, port) ?? { address: Uint8Array.of(127, 0, 0, 1), port };
}

/** Whether an interface of this host has it, canonical text. */
export const hasAddress = (host: string): boolean =>
  Object.values(networkInterfaces()).some(entries => entries?.some(({ address }) => textOf(address) === host));

function textOf(address: string): string | null {
  const endpoint = endpointFrom(address, 0);
  return endpoint === null ? null : hostOf(endpoint);
}

const isPrivate = (address: string): boolean => /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address);
