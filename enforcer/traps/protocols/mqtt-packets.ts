/** Numbers and strings of MQTT. Hostile: nothing is read beyond its end, never throws. */

export interface Variable {
  readonly value: number;
  /** Where what follows begins. */
  readonly next: number;
}

/** A variable byte integer (2.2.3): at most four bytes. */
export function readVariable(bytes: Buffer, at: number): Variable | 'more' | 'broken' {
  let value = 0;
  for (let index = 0; index < 4; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return 'more';
    value += (byte & 0x7f) * 128 ** index;
    if (byte < 0x80) return { value, next: at + index + 1 };
  }
  return 'broken';
}

export interface MqttString {
  readonly text: string;
  readonly next: number;
}

/** Two bytes of length, then the text, one character a byte. */
export function mqttString(bytes: Buffer, at: number): MqttString | undefined {
  if (at < 0 || at + 2 > bytes.length) return undefined;
  const next = at + 2 + bytes.readUInt16BE(at);
  return next > bytes.length ? undefined : { text: bytes.toString('latin1', at + 2, next), next };
}
