/** The six numbers that a member says of itself: pMin, pMax, pCur, dMin, dMax, dCur (protocol, then what the application above speaks). */
export type Versions = Uint8Array;

export const VERSION_BYTES = 6;

/** What a peer must understand, by its pMax. */
export const UNDERSTANDS = { tcpPing: 3, nack: 4, crc: 5 } as const;

export const highestProtocol = (versions: Versions): number => versions[1] ?? 0;

/** An alive that says impossible versions is ignored; one that says too few bytes is not judged by them. */
export function areSane(versions: Versions): boolean {
  if (versions.length < 3) return true;
  const [least, most] = versions as Uint8Array & [number, number];
  return least !== 0 && most !== 0 && least <= most;
}

/** A record without all six counts as version 0 throughout. */
export const padded = (versions: Versions): Versions => (versions.length < VERSION_BYTES ? new Uint8Array(VERSION_BYTES) : versions.slice(0, VERSION_BYTES));

export interface Speaker {
  readonly name: string;
  readonly versions: Versions;
  readonly alive: boolean;
}

/**
 * Who cannot talk with whom (memberlist's verifyProtocol): each listed member, dead ones too, must speak a protocol that all live ones understand.
 * Null: all can; else the name of the first who cannot.
 */
export function whoCannotTalk(speakers: readonly Speaker[]): string | null {
  let [protocolLeast, protocolMost, delegateLeast, delegateMost] = [0, 255, 0, 255];
  for (const { versions, alive } of speakers) {
    if (!alive || versions.length < 5) continue;
    protocolLeast = Math.max(protocolLeast, versions[0] as number);
    protocolMost = Math.min(protocolMost, versions[1] as number);
    delegateLeast = Math.max(delegateLeast, versions[3] as number);
    delegateMost = Math.min(delegateMost, versions[4] as number);
  }
  for (const { name, versions } of speakers) {
    const whole = versions.length >= VERSION_BYTES;
    const protocol = whole ? (versions[2] as number) : 0;
    const delegate = whole ? (versions[5] as number) : 0;
    if (protocol < protocolLeast || protocol > protocolMost || delegate < delegateLeast || delegate > delegateMost) return name;
  }
  return null;
}
