/** Who is at the other end of an accepted connection, whatever became of it since. */
import type { Socket } from 'node:net';
import { type Address, addressFromBytes, parseAddress } from '@honeymesh/intel/address';
import { addon } from '../../kernel/native.ts';

/** Node asks when it is asked, by getpeername, which fails once the peer has sent a RST; the addon asks in a way that does not. */
export function peerOf(socket: Socket): Address | undefined {
  const address = parseAddress((socket.remoteAddress ?? '').split('%', 1)[0] ?? '');
  if (address.ok) return address.value;
  const fd = (socket as unknown as { readonly _handle: { readonly fd: number } | null })._handle?.fd;
  const bytes = fd === undefined || fd < 0 ? -1 : addon().peerAddress(fd);
  return typeof bytes === 'number' ? undefined : addressFromBytes(bytes);
}
