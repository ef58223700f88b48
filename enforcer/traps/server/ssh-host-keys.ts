/** How sshd tells a client that got in of all its host keys, and proves them (OpenSSH's PROTOCOL, 2.5): a client that keeps them misses it. */
import { ByteReader, bytesOf, latin1 } from '../protocols/bytes.ts';
import { MESSAGE, readString, sshString } from './ssh-messages.ts';
import type { SshHost } from './ssh-transport.ts';

const ANNOUNCE = 'hostkeys-00@openssh.com';
const PROVE = 'hostkeys-prove-00@openssh.com';
const LONGEST_NAME = 64;

export function announcement({ hostKeys, offer }: SshHost): Uint8Array {
  const keys = offer.hostKeys.flatMap(algorithm => hostKeys[algorithm] ?? []);
  return bytesOf(MESSAGE.globalRequest, sshString(ANNOUNCE), 0, ...[...new Set(keys)].map(key => sshString(key.getPublicSSH())));
}

export function asksForProof(message: Uint8Array): boolean {
  return message[0] === MESSAGE.globalRequest && latin1(readString(new ByteReader(message.subarray(1)), LONGEST_NAME)) === PROVE;
}

/** Signatures by the keys that `message` asks for; `undefined`: it asks for none, for one that is not ours, or for one twice. */
export function proof({ hostKeys, library }: SshHost, sessionId: Uint8Array, message: Uint8Array): Uint8Array | undefined {
  const reader = new ByteReader(message.subarray(1));
  readString(reader, LONGEST_NAME);
  reader.u8(); // whether it wants a reply
  const ours = new Map(
    Object.entries(hostKeys)
      .map(([algorithm, key]) => [latin1(key.getPublicSSH()), { algorithm, key }] as const)
      .reverse(),
  );
  const signatures: Uint8Array[] = [];
  while (reader.left > 0) {
    const blob = readString(reader);
    const found = ours.get(latin1(blob));
    if (reader.truncated || found === undefined) return undefined;
    ours.delete(latin1(blob)); // each costs a signature
    const { algorithm, key } = found;
    const signed = key.sign(Buffer.from(bytesOf(sshString(PROVE), sshString(sessionId), sshString(blob))), key.type === 'ssh-rsa' ? 'sha512' : undefined);
    const signature = signed instanceof Error ? false : library.convertSignature(signed, key.type);
    if (signature === false) return undefined;
    signatures.push(sshString(bytesOf(sshString(algorithm), sshString(signature))));
  }
  return signatures.length === 0 ? undefined : bytesOf(MESSAGE.requestSuccess, ...signatures);
}
