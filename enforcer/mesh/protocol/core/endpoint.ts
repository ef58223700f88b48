/** Where a member is reached: one port for datagrams and streams. */
export interface Endpoint {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Raw bytes are compared: to memberlist the two forms of one IPv4 address are two addresses. */
export const sameEndpoint = (one: Endpoint, other: Endpoint): boolean => one.port === other.port && sameBytes(one.address, other.address);

/** Just that of something which has an endpoint and more. */
export const endpointOf = ({ address, port }: Endpoint): Endpoint => ({ address, port });

/** One text for one place on the network: here both forms of an IPv4 address are the same. */
export function placeOf({ address, port }: Endpoint): string {
  const mapped = address.length === 16 && address[10] === 255 && address[11] === 255 && address.subarray(0, 10).every(byte => byte === 0);
  return `${(mapped ? address.subarray(12) : address).join('.')}:${port}`;
}

/** The same address in whichever form; the port does not count. No text is made: it is asked of whole tables. */
export function sameHost(one: Endpoint, other: Endpoint): boolean {
  if (one.address.length === other.address.length) return sameBytes(one.address, other.address);
  const [short, long] = one.address.length < other.address.length ? [one.address, other.address] : [other.address, one.address];
  return long[10] === 255 && long[11] === 255 && sameBytes(short, long.subarray(12)) && long.subarray(0, 10).every(byte => byte === 0);
}

export const samePlace = (one: Endpoint, other: Endpoint): boolean => one.port === other.port && placeOf(one) === placeOf(other);
