/** The process in which this host speaks with the hub. It ends with the daemon, whose death closes the channel. */
import { randomInt } from 'node:crypto';
import { setPriority } from 'node:os';
import { unixMs } from '@honeymesh/intel/time';
import { createEd25519 } from '../../mesh/signed/keys.ts';
import { createMeshState } from '../../mesh/state/state.ts';
import { fetchObject } from '../objects.ts';
import type { FromRelay, ToRelay } from '../port.ts';
import { type Relay, startRelay } from '../relay.ts';

const RANDOM_STEPS = 2 ** 47;
let relay: Relay | null = null;

function say(message: FromRelay): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

async function end(): Promise<void> {
  await relay?.stop().catch(() => null);
  process.exit(0); // the device SDK keeps it alive
}

process.on('message', (message: ToRelay) => {
  switch (message.kind) {
    case 'start': {
      if (relay !== null) return;
      const state = createMeshState(message.settings.meshDirectory);
      relay = startRelay(message.settings, message.facts, {
        say,
        loadTransport: async () => (await import('../transport.ts')).connectAws,
        loadTrust: () => state.loadTrust?.() ?? Promise.resolve(null),
        fetchObject,
        signatures: createEd25519(),
        random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
        now: () => unixMs(Date.now()),
      });
      say({ kind: 'up' });
      return;
    }
    case 'own':
      relay?.own(message.envelopes);
      return;
    case 'facts':
      relay?.facts(message.facts);
      return;
    case 'took':
      relay?.took();
      return;
  }
});
process.on('disconnect', () => void end());
process.on('SIGTERM', () => void end());
process.on('SIGINT', () => {}); // Ctrl-C goes to the whole group: the daemon ends us in order
setPriority(5); // advice from afar is never more urgent than what happens here
