/** The TCP flags that section 5 of docs/packet-path.md goes by. */
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

/** 5.1 */
export const isAnomaly = (flags: number): boolean => (flags & (SYN | ACK | RST)) === 0 || ((flags & SYN) !== 0 && (flags & (FIN | RST)) !== 0);
