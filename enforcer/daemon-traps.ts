/**
 * The traps' part of the composition root: who they play, on which ports, and the process that does. It starts when all else is on, as keys take a second
 * to make at the first start of a host's life and enforcement waits for nobody.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Prefix } from '@honeymesh/intel/address';
import { SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { Config } from './config/config.ts';
import { trapLimitsOf } from './config/policies.ts';
import { trapChoiceOf } from './config/trap-choice.ts';
import type { TrapReport } from './control/operations.ts';
import type { DegradedBoard } from './health/degraded.ts';
import type { Log } from './health/log.ts';
import type { Kernel, TrapPorts } from './kernel/port.ts';
import type { TrapListeners } from './launch/messages.ts';
import { PARTS } from './launch/parts.ts';
import type { Ledger } from './ledger/decisions.ts';
import type { Pipeline } from './pipeline/pipeline.ts';
import { createTrapDesk } from './pipeline/trap-desk.ts';
import { keepIdentity } from './traps/identity.ts';
import { createPersona } from './traps/protocols/persona.ts';
import { typicalPorts } from './traps/protocols/typical-ports.ts';
import { createTrapSupervisor, type TrapSupervisor } from './traps/supervisor.ts';

export interface TrapPartOptions {
  readonly config: Config;
  readonly paths: { readonly state: string; readonly pins: string };
  /** null: traps are off, or could not listen. */
  readonly listeners: TrapListeners | null;
}

export interface TrapPartDeps {
  readonly kernel: Kernel;
  readonly pipeline: Pipeline;
  readonly ledger: Ledger;
  readonly degraded: DegradedBoard;
  readonly log: Log;
  readonly now: () => UnixMs;
}

export interface TrapPart {
  /** Resolves when the traps answer, or after 3 s: one that does not come up is said in status, not waited for. */
  start(): Promise<void>;
  /** Ends open sessions of a source that is banned in full now. */
  closeSource(target: Prefix): void;
  tick(): void;
  status(): Omit<TrapReport, 'confined'>;
  stop(): Promise<void>;
}

const UP_MS = 3 * SECOND_MS;
const NO_PORTS: TrapPorts = { tcp: [], udp: [] };

export function createTrapPart({ config, paths, listeners }: TrapPartOptions, { kernel, pipeline, ledger, degraded, log, now }: TrapPartDeps): TrapPart {
  const { mode, traps } = config;
  const patience = { patience: traps.patience, sessions: traps.study.sessions, silenceMs: traps.deadlineMs };
  const desk = createTrapDesk({ mode, ...patience }, { pipeline, ledger, degraded, now });
  const up = Promise.withResolvers<void>();
  let supervisor: TrapSupervisor | undefined;
  let stopped = false;

  async function superviseOn(found: TrapListeners): Promise<TrapSupervisor | undefined> {
    const { identity, complaint } = await keepIdentity(paths.state, now());
    if (complaint !== undefined) degraded.raise({ part: 'traps', ...complaint }, 'identity');
    if (stopped) return undefined;
    const ports = trapPortsOf(config, identity.seed);
    kernel.setTrapPorts(ports);
    return createTrapSupervisor(
      { ports, listeners: found, pins: paths.pins, identity, entry: PARTS.trap, limits: trapLimitsOf(config) },
      {
        onObservations: desk.take,
        onDown: desk.down,
        onUp() {
          desk.up();
          up.resolve();
        },
        onFault: why => log.warn('a trap session ended by a mistake of HoneyMesh', { why }),
      },
    );
  }

  return {
    async start() {
      if (listeners === null) {
        kernel.setTrapPorts(NO_PORTS);
        return;
      }
      try {
        supervisor = await superviseOn(listeners);
      } catch (error) {
        const why = `the traps could not be started: ${error instanceof Error ? error.message : String(error)}`;
        degraded.raise({ part: 'traps', why, fix: 'enforcement goes on without them; "honeymesh doctor" looks at the installation' }, 'start');
        return;
      }
      supervisor?.start();
      await Promise.race([up.promise, sleep(UP_MS)]);
    },
    closeSource: target => supervisor?.closeSource(target),
    tick: desk.tick,
    status() {
      const { ports, sessions, running } = supervisor?.status() ?? { ports: NO_PORTS, sessions: 0, running: false };
      const choice = trapChoiceOf(config);
      return { ports: ports.tcp, udpPorts: ports.udp, choice, patience: traps.patience, sessions, running, ...desk.counts() };
    },
    async stop() {
      stopped = true;
      await supervisor?.stop();
    },
  };
}

/** The ports that lead to traps. `typical` is this host's own choice, and always the same. */
function trapPortsOf({ traps: { ports } }: Config, seed: string): TrapPorts {
  if (ports === 'all') return { tcp: 'all', udp: 'all' };
  return ports === 'typical' ? typicalPorts(createPersona(Buffer.from(seed, 'base64'))) : ports;
}
