/** The dashboard's server as a part of the daemon: it listens, or says in `degraded` why it does not and tries again. Enforcement waits for nobody. */
import { join } from 'node:path';
import type { BucketLimits } from '@honeymesh/intel/bucket';
import type { NewEvent } from '@honeymesh/intel/events';
import type { Sighting } from '@honeymesh/intel/sightings';
import { rfc3339, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { FastifyPluginAsync } from 'fastify';
import type { Place } from '../config/mesh-fields.ts';
import type { Operations } from '../control/operations.ts';
import { HoneyMeshError } from '../errors.ts';
import type { Metrics } from '../health/metrics.ts';
import { ownAddresses, withPort } from '../mesh/registrar/addresses.ts';
import { createAdmission } from '../mesh/registrar/admission.ts';
import { createHttpsServer, type HttpsServer } from '../mesh/registrar/https-server.ts';
import { apiPlugin } from './api/api.ts';
import { createLiveFeed } from './api/live.ts';
import { problemFrom, rawProblem, sendProblem } from './api/problems.ts';
import { readGrace } from './api/token.ts';
import { createGate, isLoopback } from './gate.ts';
import { createDashboardIdentity } from './identity.ts';
import { createTokenKeeper, type Rotated } from './token-keeper.ts';
import type { Welcome } from './welcome.ts';

export interface DashboardOptions {
  /** null: off. The token is kept all the same, and can be rotated. */
  readonly bind: Place | null;
  readonly names: readonly string[];
  readonly own: { readonly certificate: string; readonly key: string } | null;
  /** The state directory. */
  readonly state: string;
}

export interface DashboardDeps {
  readonly operations: () => Operations;
  readonly metrics: Metrics;
  readonly pages?: readonly FastifyPluginAsync[];
  readonly record: (event: NewEvent) => void;
  readonly sight: (sighting: Sighting) => void;
  readonly complain: (key: string, why: string, fix: string) => void;
  readonly recovered: (key: string) => void;
  readonly onBug: (error: unknown) => void;
  readonly now: () => UnixMs;
  readonly random: (bytes: number) => Uint8Array;
}

export interface Dashboard {
  /** Resolves when it listens, or when it was said why not. Null: it is off, or could not listen. */
  start(): Promise<Welcome | null>;
  readonly tokenOperations: Pick<Operations, 'tokenStatus' | 'tokenRotate'>;
  counts(): { readonly refused: Readonly<Record<string, number>>; readonly streams: number };
  /** Every second. */
  tick(): void;
  stop(): Promise<void>;
}

/** A browser opens six connections for a page; scripts a new one for each request. A handshake takes a millisecond or two of the daemon's loop. */
const ADMISSION: { readonly total: BucketLimits; readonly each: BucketLimits; readonly mostSources: number } = {
  total: { burst: 256, everyMs: 10 },
  each: { burst: 64, everyMs: 50 },
  mostSources: 1_024,
};
const KEEP_ALIVE_MS = 30 * SECOND_MS;
const LONGEST_BODY_BYTES = 64 * 1_024;
const AGAIN_MS = 30 * SECOND_MS;

export function createDashboard({ bind, names, own, state }: DashboardOptions, deps: DashboardDeps): Dashboard {
  const { metrics, pages = [], record, sight, complain, recovered, onBug, now, random } = deps;
  const directory = join(state, 'dashboard');
  let server: HttpsServer | null = null;
  let listening: number | null = null;
  let againAt = Number.POSITIVE_INFINITY;
  let busy: Promise<void> | null = null;
  let over = false;

  const tokens = createTokenKeeper({ directory }, { now, random });
  const gate = createGate({ tokens, port: () => listening ?? bind?.port ?? 0, record, sight, now });
  const operations: Pick<Operations, 'listEvents' | 'tail'> = {
    listEvents: query => deps.operations().listEvents(query),
    tail: (onEvent, signal) => deps.operations().tail(onEvent, signal),
  };
  const live = createLiveFeed({ operations, tokens, onBug });
  const identity = createDashboardIdentity(
    { directory, bind: bind ?? { host: '127.0.0.1', port: 0 }, names, own },
    { now, onRenewed: why => tell(`the dashboard's certificate was made: ${why}`) },
  );
  tokens.onChange(live.weed);

  function tell(summary: string): void {
    record({ at: now(), kind: 'auth', source: null, port: null, protocol: null, tier: null, reasons: [], origin: null, summary });
  }

  async function rotate(graceMs: number): Promise<Rotated> {
    const rotated = await tokens.rotate(graceMs);
    recovered('token');
    const former = rotated.formerUntil === null ? 'the former one is dead' : `the former one holds until ${rfc3339(rotated.formerUntil)}`;
    tell(`the dashboard's token was rotated; ${former}`);
    return rotated;
  }

  async function listen(place: Place): Promise<void> {
    let next: HttpsServer | null = null;
    try {
      const served = await identity.open();
      const admission = createAdmission(ADMISSION);
      next = createHttpsServer(
        {
          host: place.host,
          port: place.port,
          identity: served,
          longestBodyBytes: LONGEST_BODY_BYTES,
          setting: 'dashboard.bind',
          allowTls12: true,
          keepAliveMs: KEEP_ALIVE_MS,
        },
        {
          admit: source => isLoopback(source) || admission.admit(source, performance.now()),
          plugins: [apiPlugin({ operations: deps.operations(), gate, tokens, rotate, live, metrics, onBug, now, pages })],
          unroutable: { reply: (error, _request, reply) => void sendProblem(reply, problemFrom(error).problem), raw: rawProblem },
        },
      );
      listening = await next.start();
      server = next;
      againAt = Number.POSITIVE_INFINITY;
      recovered('listen');
    } catch (error) {
      await next?.stop().catch(onBug);
      againAt = now() + AGAIN_MS;
      const known = error instanceof HoneyMeshError;
      if (!known) onBug(error);
      const why = `there is no dashboard: ${error instanceof Error ? error.message : String(error)}`;
      complain('listen', why, `${(known ? error.fix : undefined) ?? 'the log of the daemon says more'}; it is tried again every 30 s`);
    }
  }

  async function renew(): Promise<void> {
    try {
      const next = await identity.look();
      if (next !== null) server?.renew(next);
      recovered('certificate');
    } catch (error) {
      const fix = error instanceof HoneyMeshError ? error.fix : undefined;
      complain(
        'certificate',
        `the dashboard's certificate could not be renewed: ${(error as Error).message}`,
        `${fix ?? 'see that the state directory can be written'}; the former one is served`,
      );
    }
  }

  function once(what: () => Promise<void>): void {
    busy ??= what()
      .catch(onBug)
      .finally(() => {
        busy = null;
      });
  }

  const url = (place: Place): string => `https://${withPort(reachedAt(place.host), listening ?? place.port)}/`;

  return {
    async start() {
      const token = await tokens.open().catch((error: unknown) => {
        complain('token', (error as Error).message, error instanceof HoneyMeshError ? (error.fix ?? '') : 'the log of the daemon says more');
        return null;
      });
      if (tokens.damaged !== null) complain('token', tokens.damaged.why, tokens.damaged.fix);
      if (bind === null) return null;
      await listen(bind);
      return server === null ? null : { url: url(bind), token: tokens.damaged === null ? token : null, fingerprint: identity.fingerprint() };
    },
    tokenOperations: {
      async tokenStatus() {
        const { since, formerUntil } = tokens.state();
        return {
          since: rfc3339(since),
          formerUntil: formerUntil === null ? null : rfc3339(formerUntil),
          url: bind === null || server === null ? null : url(bind),
          fingerprint: identity.fingerprint(),
          refused: gate.counts(),
        };
      },
      async tokenRotate({ grace }) {
        const { token, formerUntil } = await rotate(readGrace(grace));
        return { token, formerUntil: formerUntil === null ? null : rfc3339(formerUntil), url: bind === null || server === null ? null : url(bind) };
      },
    },
    counts: () => ({ refused: gate.counts(), streams: live.count() }),
    tick() {
      live.weed();
      if (bind === null || over) return;
      if (server !== null) once(renew);
      else if (now() >= againAt) once(() => listen(bind));
    },
    async stop() {
      over = true;
      await busy;
      live.stop();
      await server?.stop();
      server = null;
    },
  };
}

/** Where a browser goes: "everywhere" is no address. */
function reachedAt(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  return ownAddresses().find(address => host === '::' || !address.includes(':')) ?? '127.0.0.1';
}
