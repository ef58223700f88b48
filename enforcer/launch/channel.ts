/** The daemon's end of the channel to the launcher. */
import { HoneyMeshBug } from '../errors.ts';
import type { DaemonMessage, DaemonOptions, LauncherMessage } from './messages.ts';

const START_MS = 10_000;

export interface LauncherChannel {
  readonly options: DaemonOptions;
  send(message: DaemonMessage): void;
  /** Every message but `start`, from the first one on: what came before the call is delivered at once. */
  listen(onMessage: (message: Exclude<LauncherMessage, { kind: 'start' }>) => void): void;
}

/**
 * Waits for the launcher's `start` (10 s at most). When the launcher is gone the process ends at once: nobody would restart it, and
 * the kernel goes on enforcing by itself. The kernel's pdeathsig says the same; this covers the moment before it was set.
 */
export function openLauncherChannel(ended: () => void = () => process.exit(1)): Promise<LauncherChannel> {
  const send = process.send?.bind(process);
  if (send === undefined) return Promise.reject(new HoneyMeshBug('the daemon was not started by its launcher'));
  const waiting: Exclude<LauncherMessage, { kind: 'start' }>[] = [];
  let onMessage: ((message: Exclude<LauncherMessage, { kind: 'start' }>) => void) | undefined;
  process.once('disconnect', ended);
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new HoneyMeshBug('the launcher sent no start message')), START_MS);
    process.on('message', (message: LauncherMessage) => {
      if (message.kind !== 'start') {
        if (onMessage === undefined) waiting.push(message);
        else onMessage(message);
        return;
      }
      clearTimeout(deadline);
      resolve({
        options: message.options,
        send: said => void (process.connected && send(said)),
        listen(listener) {
          onMessage = listener;
          for (const early of waiting.splice(0)) listener(early);
        },
      });
    });
  });
}
