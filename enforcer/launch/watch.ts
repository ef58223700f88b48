/** What the launcher looks after while the daemon runs: the attachment each second, admin sessions, ports that are forwarded. Cheap, and never throws. */
import type { AllowEntry } from '@honeymesh/intel/bans';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { SessionWatch } from '../health/sessions.ts';
import type { ServedPorts } from '../kernel/port.ts';
import { type Complaints, wordsOf } from './complaints.ts';
import type { ForwardingReader } from './forwarding.ts';
import type { Guard } from './guard.ts';
import type { InterfaceState } from './messages.ts';

export interface WatchDeps {
  readonly guard: Guard;
  readonly sessions: SessionWatch;
  readonly forwarding: ForwardingReader;
  readonly complaints: Complaints;
  readonly onAttachment: (interfaces: readonly InterfaceState[]) => void;
  readonly onSessions: (entries: readonly AllowEntry[]) => void;
  readonly onForwarded: (ports: ServedPorts) => void;
}

/** What was told last: only changes are told. */
export interface WatchStart {
  readonly interfaces: readonly InterfaceState[];
  readonly sessions: readonly AllowEntry[];
  readonly forwarded: ServedPorts;
}

export interface Watch {
  start(): void;
  stop(): void;
}

const EVERY_MS = 1_000;
const SESSIONS_EVERY = 3; // looks
const FORWARDED_MS = 10_000;
/** Reading a large ruleset must not cost more than a twentieth of a core. */
const REST_SHARE = 20;

export function createWatch(from: WatchStart, deps: WatchDeps): Watch {
  const told = { interfaces: JSON.stringify(from.interfaces), sessions: targetsOf(from.sessions), forwarded: JSON.stringify(from.forwarded) };
  let looking: NodeJS.Timeout | undefined;
  let reading: NodeJS.Timeout | undefined;
  let looks = 0;
  let stopped = false;

  function look(): void {
    const interfaces = deps.guard.look();
    const text = JSON.stringify(interfaces);
    if (text !== told.interfaces) {
      told.interfaces = text;
      deps.onAttachment(interfaces);
    }
    if (looks++ % SESSIONS_EVERY !== 0) return;
    const entries = deps.sessions.current(now());
    const targets = targetsOf(entries);
    if (targets === told.sessions) return;
    told.sessions = targets;
    deps.onSessions(entries);
  }

  async function readForwarded(): Promise<void> {
    const startedMs = performance.now();
    const { served, troubles } = await deps.forwarding.read();
    if (troubles.length === 0) deps.complaints.clear('kernel', 'forwarded');
    else
      deps.complaints.raise(
        'kernel',
        'forwarded',
        `forwarded ports cannot be read (${troubles.join(', ')}): what was known before stands`,
        'name such ports in services.ports',
      );
    const text = JSON.stringify(served);
    if (text !== told.forwarded) {
      told.forwarded = text;
      deps.onForwarded(served);
    }
    if (!stopped) reading = setTimeout(readForwardedSafely, Math.max(FORWARDED_MS, REST_SHARE * (performance.now() - startedMs)));
  }

  function readForwardedSafely(): void {
    readForwarded().catch(error => {
      deps.complaints.raise('kernel', 'forwarded', `forwarded ports cannot be read: ${wordsOf(error)}`, 'name such ports in services.ports');
      if (!stopped) reading = setTimeout(readForwardedSafely, FORWARDED_MS);
    });
  }

  return {
    start() {
      looking = setInterval(() => {
        try {
          look();
          deps.complaints.clear('kernel', 'watch');
        } catch (error) {
          deps.complaints.raise(
            'kernel',
            'watch',
            `the attachment cannot be looked after: ${wordsOf(error)}`,
            '"honeymesh doctor" looks at it too; enforcement goes on',
          );
        }
      }, EVERY_MS);
      reading = setTimeout(readForwardedSafely, FORWARDED_MS);
    },
    stop() {
      stopped = true;
      clearInterval(looking);
      clearTimeout(reading);
    },
  };
}

const now = (): UnixMs => unixMs(Date.now());
const targetsOf = (entries: readonly AllowEntry[]): string =>
  entries
    .map(entry => entry.target)
    .sort()
    .join(' ');
