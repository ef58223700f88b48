/**
 * The mesh's part of the composition root: the thread in which this host is a member, and what passes between it and the pipeline. Enforcement waits for none
 * of it: without a mesh, or with its thread dead, this host decides alone.
 */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { MINUTE_MS, rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { MeshConfig } from './config/config.ts';
import type { DegradedBoard } from './health/degraded.ts';
import type { Log } from './health/log.ts';
import { PARTS } from './launch/parts.ts';
import type { Shared } from './ledger/advice/share.ts';
import type { Ledger } from './ledger/decisions.ts';
import type { MeshKept, MeshLink, MeshPart, MeshView, MeshWord, PeerRow } from './mesh/port.ts';
import { createAcquainted } from './mesh/thread/acquainted.ts';
import { createMeshKeeper, type MeshKeeper } from './mesh/thread/keeper.ts';
import type { CallArguments, CallFailure, CallName } from './mesh/thread/messages.ts';
import { type MeshPlan, planMesh } from './mesh/thread/plan.ts';
import type { ViewedSurroundings } from './mesh/thread/surroundings.ts';
import { createMemberAlarm } from './pipeline/member-alarm.ts';
import { createMeshDesk } from './pipeline/mesh-desk.ts';
import { createMeshShares } from './pipeline/mesh-shares.ts';
import type { Pipeline } from './pipeline/pipeline.ts';
import type { Store } from './store/port.ts';

export interface MeshPartOptions {
  /** Absent: off, unless a membership is kept. */
  readonly config: MeshConfig | undefined;
  /** <state>/mesh */
  readonly directory: string;
  /** share.never. */
  readonly never: readonly Prefix[];
}

export interface MeshPartDeps {
  readonly surroundings: ViewedSurroundings;
  readonly pipeline: Pipeline;
  readonly ledger: Ledger;
  readonly store: Store;
  readonly degraded: DegradedBoard;
  readonly log: Log;
  /** What is kept on disk. */
  readonly loadKept: () => Promise<MeshKept>;
  /** Whether this host issues certificates. */
  readonly isRegistrar: () => boolean;
  /** Ports that must never be traps, whenever they change. */
  readonly onPorts: (ports: MeshPlan['ports']) => void;
  /** Members to be known to the kernel as regular clients. */
  readonly onAcquainted: (members: readonly Address[]) => void;
  /** What this host signed, for the hub. */
  readonly onOwnEnvelope?: (word: Extract<MeshWord, { kind: 'own-envelope' }>) => void;
  readonly now: () => UnixMs;
  /** Of the thread; a test gives a double. */
  readonly entry?: string | URL;
}

const ALONE_MS = 5 * MINUTE_MS;
const GOODBYE_MS = 1_000;
const CALLS = ['share', 'advise', 'withdraw', 'withdrawItem', 'join', 'leave', 'learn', 'announce', 'renew', 'certified', 'keys', 'adoptKeys'] as const;
const DOWN_FIX = 'bans, traps and the rest go on without it; it is started again by itself, and what was decided meanwhile is told then';

export function createMeshPart({ config, directory, never }: MeshPartOptions, deps: MeshPartDeps): MeshPart {
  const { surroundings, pipeline, ledger, store, degraded, log, now } = deps;
  let plan: MeshPlan | null = null;
  let keeper: MeshKeeper | null = null;
  let view: MeshView | null = null;
  let signsAs: string | null = null;
  let aloneSince: UnixMs | null = null;
  /** Complaints that are raised now. */
  const raised = new Set<string>();
  /** Starts and restarts, one after another. */
  let turn: Promise<void> = Promise.resolve();

  const acquainted = createAcquainted();
  const desk = createMeshDesk({ pipeline, log, now });
  const alarm = createMemberAlarm({ membersIn: surroundings.membersIn, ledger, pipeline, degraded, now });
  const shares = createMeshShares({ never }, { ledger, store, pipeline, share: tell, now });
  const link = Object.fromEntries(CALLS.map(name => [name, (...args: never) => call(name, ...(args as CallArguments<typeof name>))])) as unknown as MeshLink;

  function call<Name extends CallName>(name: Name, ...args: CallArguments<Name>): Promise<unknown> {
    return keeper?.thread()?.call(name, ...args) ?? Promise.resolve(null);
  }

  async function tell(shared: readonly Shared[]): Promise<boolean> {
    const thread = keeper?.thread();
    if (thread === undefined || thread === null) return false;
    try {
      return (await thread.call('share', shared)) !== null;
    } catch (error) {
      log.error('the mesh did not take what it was to tell', { error: error instanceof Error ? error.message : String(error) });
      return true; // not again and again
    }
  }

  function complain(key: string, why: string, fix: string): void {
    raised.add(key);
    degraded.raise({ part: 'mesh', why, fix }, key);
  }

  function clear(key: string): void {
    if (raised.delete(key)) degraded.clear('mesh', key);
  }

  async function begin(): Promise<void> {
    for (const key of raised) clear(key);
    plan = planMesh(config, await deps.loadKept(), { hostName: hostname(), directory });
    deps.onPorts(plan.ports);
    for (const { key, why, fix } of plan.complaints) complain(key, why, fix);
    if (plan.settings === null) {
      if (plan.wanted) return;
      shares.forget();
      surroundings.forget();
      return;
    }
    acquaint();
    keeper = createMeshKeeper(
      { entry: deps.entry ?? PARTS.meshWorker, settings: plan.settings },
      { onUp: up, onWords: words => words.forEach(attempt), onDown: down },
    );
    await keeper.start();
  }

  async function end(): Promise<void> {
    const last = keeper;
    keeper = null;
    await last?.stop();
    see(null);
  }

  function up(): void {
    clear('down');
    catchUp();
  }

  function down(why: string, failure: CallFailure | null, againInMs: number): void {
    log.warn('the mesh is down', { why: failure?.why ?? why, againInMs });
    for (const key of raised) if (key.startsWith('host ')) clear(key); // whoever said it is gone
    complain('down', `the mesh is down: ${failure?.why ?? `its thread ended (${why})`}`, failure?.fix ?? DOWN_FIX);
    see(null);
  }

  function see(seen: MeshView | null): void {
    view = seen;
    surroundings.see(seen);
    acquaint();
    catchUp();
  }

  function acquaint(): void {
    const due = acquainted.due(view, plan?.settings?.join ?? [], now());
    if (due.length > 0) deps.onAcquainted(due);
  }

  /** Once for each time that it listens, as soon as it is known who signs there. */
  function catchUp(): void {
    const signer = keeper?.thread() == null ? null : (view?.self.signer ?? null);
    if (signer !== null && signer !== signsAs) void shares.catchUp(signer);
    signsAs = signer;
  }

  /** A word that our own code cannot bear must not end the daemon, whoever made peers say it. */
  function attempt(word: MeshWord): void {
    try {
      take(word);
    } catch (error) {
      log.error('what the mesh said could not be taken', { kind: word.kind, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      complain('bug', `a word of the mesh (${word.kind}) could not be taken: a mistake of HoneyMesh`, 'please report it with the log of the daemon');
    }
  }

  function take(word: MeshWord): void {
    switch (word.kind) {
      case 'view':
        see(word.view);
        break;
      case 'heard':
        for (const input of word.inputs) if (input.kind === 'advice' && input.advice.site !== null) surroundings.heardFrom(input.advice.site);
        desk.heard(word.inputs);
        break;
      case 'peer':
        desk.peer(word);
        break;
      case 'sent':
        shares.sent(word, view?.self.signer ?? null);
        break;
      case 'own-envelope':
        deps.onOwnEnvelope?.(word);
        break;
      case 'refused':
        desk.refused(word);
        break;
      case 'complaint':
        complain(`host ${word.key}`, word.why, word.fix);
        break;
      case 'recovered':
        clear(`host ${word.key}`);
        break;
    }
  }

  const alive = (): number => view?.peers.filter(peer => peer.state === 'alive' || peer.state === 'suspect').length ?? 0;

  function lookAround(): void {
    const at = now();
    const lonely = view !== null && alive() === 0 && (plan?.settings?.join.length ?? 0) > 0;
    aloneSince = lonely ? (aloneSince ?? at) : null;
    if (aloneSince !== null && at - aloneSince > ALONE_MS) {
      const fix = 'is mesh.join right, and UDP and TCP of the port open both ways? A wrong mesh.key or mesh.label looks the same ("honeymesh doctor")';
      complain('alone', 'no other member of the mesh has been reached for 5 minutes', fix);
    } else clear('alone');
  }

  function inTurn(what: () => Promise<void>): Promise<void> {
    turn = turn.then(what).catch(error => {
      const why = error instanceof Error ? error.message : String(error);
      complain('down', `the mesh could not be started: ${why}`, DOWN_FIX);
    });
    return turn;
  }

  return {
    start: () => inTurn(begin),
    restart: () =>
      inTurn(async () => {
        await end();
        await begin();
      }),
    link: () => link,
    decided(decisions) {
      if (plan?.wanted === true) shares.decided(decisions);
      alarm.decided(decisions);
    },
    surroundings,
    report() {
      const running = keeper?.state();
      const state =
        plan === null
          ? 'starting'
          : !plan.wanted
            ? 'off'
            : running === undefined || running === 'down'
              ? 'down'
              : view === null
                ? 'starting'
                : alive() === 0
                  ? 'alone'
                  : 'joined';
      return {
        state,
        peers: view?.peers.filter(peer => peer.state === 'alive').length ?? 0,
        name: view?.self.name ?? plan?.settings?.nodeName ?? null,
        site: view?.self.site ?? null,
        signatures: plan?.signatures ?? 'off',
        registrar: deps.isRegistrar(),
      };
    },
    peers() {
      const at = now();
      return (view?.peers ?? []).map(({ name, address, state, signed, site, signer, answeredAt }): PeerRow => {
        const standing = signer === null ? null : ledger.standing(signer, at);
        return {
          name,
          address,
          state,
          signed,
          site,
          key: signer,
          answeredAt: answeredAt === null ? null : rfc3339(answeredAt),
          trust: standing?.trust ?? null,
          adviceAccepted: standing?.accepted ?? 0,
          adviceRefused: standing?.refused ?? 0,
        };
      });
    },
    view: () => view,
    tick() {
      keeper?.beat();
      acquaint();
      desk.tick();
      alarm.tick();
      shares.tick();
      lookAround();
    },
    stop: () =>
      inTurn(async () => {
        // An end in order is no death: peers are told, and look for nobody.
        await Promise.race([call('leave', GOODBYE_MS).catch(() => null), sleep(2 * GOODBYE_MS, null, { ref: false })]);
        await end();
      }),
  };
}
