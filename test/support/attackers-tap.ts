/** Listens on an interface for what it sends and what gets past its packet filter. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '#test/support/namespaces.ts';

const SCRIPT = fileURLToPath(new URL('attackers-tap.py', import.meta.url));

export interface SeenPacket {
  readonly way: 'in' | 'out';
  readonly from: string;
  readonly to: string;
  /** `tcp`, `udp`, `icmp`, `icmp6` or the protocol's number. */
  readonly protocol: string;
  /** Offset in bytes; null where the packet is no fragment. */
  readonly fragment: number | null;
  readonly fromPort?: number;
  readonly toPort?: number;
  /** Letters in the order FSRPAU; absent where the header is cut short. */
  readonly flags?: string;
  readonly type?: number;
  readonly code?: number;
  /** The port that an ICMP error says is unreachable. */
  readonly aboutPort?: number;
}

export interface Tap {
  /** Everything so far, in order; what was on the wire before the call is in it. */
  packets(): Promise<readonly SeenPacket[]>;
  stop(): void;
}

/** Resolves when it listens. */
export async function tapOn(namespace: Namespace, device: string): Promise<Tap> {
  const child = namespace.start(['python3', '-u', SCRIPT, device], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the tap has no pipes');
  stdin.on('error', () => {}); // it ends with its namespace
  const seen: SeenPacket[] = [];
  const waiting: (() => void)[] = [];
  const lines = createInterface({ input: stdout });
  const ready = once(lines, 'line');
  lines.on('line', line => {
    if (line === 'synced') waiting.shift()?.();
    else if (line !== 'ready') seen.push(JSON.parse(line) as SeenPacket);
  });
  await ready;
  return {
    packets: () =>
      new Promise((resolve, reject) => {
        if (child.exitCode !== null) reject(new Error(`the tap on ${device} has ended`));
        waiting.push(() => resolve([...seen]));
        stdin.write('sync\n');
      }),
    stop: () => stdin.end(),
  };
}
