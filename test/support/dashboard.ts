/** A dashboard over a daemon's double, on a port of its own on loopback, and a client that says whatever it is told to. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import type { NewEvent } from '@honeymesh/intel/events';
import type { Sighting } from '@honeymesh/intel/sightings';
import { unixMs } from '@honeymesh/intel/time';
import type { FastifyPluginAsync } from 'fastify';
import type { Operations } from '#enforcer/control/operations.ts';
import { createDashboard, type Dashboard } from '#enforcer/dashboard/dashboard.ts';
import { createMetrics, type Metrics } from '#enforcer/health/metrics.ts';
import { type FakeOperations, fakeOperations, peerRow } from '#test/support/fake-operations.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  /** null: none. Absent: the one that holds. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface DashboardScene {
  readonly dashboard: Dashboard;
  readonly operations: FakeOperations;
  readonly metrics: Metrics;
  readonly port: number;
  token: string;
  readonly events: NewEvent[];
  readonly sightings: Sighting[];
  readonly complaints: Map<string, string>;
  readonly bugs: unknown[];
  nowMs: number;
  ask(path: string, ask?: Ask): Promise<Answer>;
  /** As JSON. */
  read(path: string, ask?: Ask): Promise<Readonly<Record<string, unknown>>>;
  /** Bytes over TLS, and what comes back until the other end closes or says nothing for half a second. */
  raw(bytes: string | Uint8Array): Promise<string>;
  stop(): Promise<void>;
}

export async function dashboardScene(given: Partial<Operations> = {}, pages: readonly FastifyPluginAsync[] = []): Promise<DashboardScene> {
  const directory = mkdtempSync(join(tmpdir(), 'honeymesh-dashboard-'));
  const operations = fakeOperations(given);
  const scene = { nowMs: Date.UTC(2026, 10, 24, 12), events: [] as NewEvent[], sightings: [] as Sighting[], bugs: [] as unknown[] };
  const complaints = new Map<string, string>();
  const now = () => unixMs(scene.nowMs);
  const metrics = await createMetrics({
    status: () => operations.status(),
    bans: () => [],
    peers: () => [peerRow],
    store: () => ({ ok: true, events: 3, lastId: 3, bytes: 4_096, segments: 1, waiting: 0, lost: 0 }),
    dashboard: () => dashboard.counts(),
    now,
  });
  const dashboard: Dashboard = createDashboard(
    { bind: { host: '127.0.0.1', port: 0 }, names: ['board.example'], own: null, state: directory },
    {
      operations: () => operations,
      metrics,
      pages,
      record: event => scene.events.push(event),
      sight: sighting => scene.sightings.push(sighting),
      complain: (key, why, fix) => complaints.set(key, `${why}; ${fix}`),
      recovered: key => complaints.delete(key),
      onBug: bug => scene.bugs.push(bug),
      now,
      random: length => Uint8Array.from(randomBytes(length)),
    },
  );
  const welcome = await dashboard.start();
  if (welcome === null) throw new Error([...complaints.values()].join('; '));
  const port = Number(new URL(welcome.url).port);
  const made = Object.assign(scene, {
    dashboard,
    operations: Object.assign(operations, dashboard.tokenOperations),
    metrics,
    port,
    complaints,
    token: welcome.token ?? '',
    ask: (path: string, ask: Ask = {}) => askHttps(port, path, made.token, ask),
    async read(path: string, ask?: Ask) {
      const answer = await askHttps(port, path, made.token, ask ?? {});
      if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
      return JSON.parse(answer.text) as Readonly<Record<string, unknown>>;
    },
    raw: (bytes: string | Uint8Array) => rawTls(port, bytes),
    async stop() {
      await dashboard.stop();
      metrics.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  });
  return made;
}

function askHttps(port: number, path: string, standard: string, { method = 'GET', token = standard, headers = {}, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        rejectUnauthorized: false,
        agent: false,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
          ...headers,
        },
      },
      response => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', part => {
          answer += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer }));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}

const QUIET_MS = 500;

function rawTls(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise(resolve => {
    let text = '';
    const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => socket.write(bytes));
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(QUIET_MS, done);
    socket.on('data', part => {
      text += part.toString('latin1');
    });
    socket.on('error', done);
    socket.on('close', done);
  });
}
