/** Why bytes from the wire were not taken, and how to say so in a log. A fault is a value: nothing that a peer sends throws. */

export const WIRE_FAULTS = {
  empty: 'nothing in it',
  truncated: 'it ends before it is complete',
  'unknown-type': 'a message type that is unknown or does not belong here',
  malformed: 'not the msgpack of such a message',
  'bad-integer': 'a number that is negative or too large for its field',
  'too-long': 'longer than its limit',
  'too-many': 'more items than its limit',
  'too-deep': 'nested deeper than its limit',
  'bad-address': 'an address of neither 4 nor 16 bytes',
  'unknown-state': 'a member in a state that does not exist',
  'label-missing': 'no label, where ours was expected',
  'label-unexpected': 'a label, where none was expected',
  'label-differs': 'the label of another cluster',
  'label-malformed': 'a label of no length, or one that is cut short',
  'plaintext-refused': 'not encrypted, where only encrypted traffic is taken',
  'encrypted-refused': 'encrypted, and no key is configured',
  'encryption-version': 'an encryption version that does not exist',
  'ciphertext-too-short': 'too short to have been encrypted',
  'no-key-fits': 'no installed key decrypts it',
  // The two packets that end a Go process of memberlist v0.7.0 (security.go, pkcs7decode; net.go, readStream): here they are faults like any other.
  'bad-padding': 'its padding is not what encryption version 0 pads with',
  'empty-plaintext': 'nothing was encrypted in it',
  replayed: 'it came before, byte for byte',
  checksum: 'its checksum is wrong',
  'bad-compression': 'not compressed as it says',
  'empty-expansion': 'it expands to nothing',
  'expands-too-far': 'it expands beyond the limit',
} as const;

export type WireFault = keyof typeof WIRE_FAULTS;

export const describeFault = (fault: WireFault): string => WIRE_FAULTS[fault];
