/** A frame in one line, for a human who looks at a difference. Only as deep as the bytes allow. */
import { dissectL3, dissectL4 } from './dissect.ts';

const FLAG_NAMES = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];

export function summarise(frame: Uint8Array): string {
  const tags = [];
  let at = 12;
  const type = (): number => (frame[at] ?? 0) * 256 + (frame[at + 1] ?? 0);
  for (; [0x8100, 0x88a8, 0x9100, 0x9200].includes(type()) && at + 6 <= frame.length; at += 4) tags.push(type().toString(16));
  const start = `${frame.length} bytes${tags.length > 0 ? `, tags ${tags.join(' ')}` : ''}, EtherType ${type().toString(16).padStart(4, '0')}`;
  const outcome = dissectL3(frame);
  if (outcome.what !== 'ip') return `${start}, ${outcome.what}`;
  const { l3 } = outcome;
  const ip = `${start}, IPv${l3.family} ${l3.from} > ${l3.to}, ${l3.limit - l3.bodyAt} bytes behind its header`;
  if (l3.clipped) return `${ip}, clipped`;
  const l4 = dissectL4(frame, l3);
  const ports = 'fromPort' in l4 ? ` ${l4.fromPort} > ${l4.toPort}` : '';
  const flags = l4.what === 'tcp' ? ` [${FLAG_NAMES.filter((_, bit) => (l4.flags >> bit) & 1).join(' ')}]` : '';
  return `${ip}, ${l4.what}${ports}${flags}`;
}

/** A scenario as JSON that can be read: bigints as numbers with n, empty tables left out. */
export const printed = (scenario: object): string =>
  JSON.stringify(Object.fromEntries(Object.entries(scenario).filter(([, value]) => !Array.isArray(value) || value.length > 0)), (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
