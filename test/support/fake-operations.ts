/** A daemon's operations for tests of the socket and the CLI: fixed answers, a record of what was asked, and any of them replaced. */
import type { KeyId } from '@honeymesh/intel/envelope';
import type { BanRow, EventRow, ExplainReport, Operations, StatusReport } from '#enforcer/control/operations.ts';
import type { PeerRow } from '#enforcer/mesh/port.ts';
import { meshAnswers } from '#test/support/fake-mesh-operations.ts';

export const banRow: BanRow = {
  target: '203.0.113.7/32',
  tier: 'E1',
  reasons: ['trap-touch'],
  origins: ['trap'],
  createdAt: '2026-11-24T12:00:00.000Z',
  expiresAt: '2026-11-24T16:00:00.000Z',
  droppedPackets: 12,
  enforced: true,
  confined: false,
  fullAt: null,
};

export const eventRow = (id: number, more: Partial<EventRow> = {}): EventRow => ({
  id,
  at: '2026-11-24T12:00:00.000Z',
  kind: 'touch',
  source: '203.0.113.7',
  port: 22,
  protocol: 'tcp',
  tier: 'E1',
  reasons: ['trap-touch'],
  techniques: ['T1046', 'T1595'],
  origin: 'trap',
  summary: `touched the trap on port 22 (${id})`,
  ...more,
});

export const statusReport: StatusReport = {
  version: '0.1.0',
  instance: 'main',
  mode: 'enforce',
  pausedUntil: null,
  interfaces: [{ name: 'eth0', xdp: 'native' }],
  bans: { active: 1, shunned: 2, capacity: 65_536 },
  traps: { ports: [22], udpPorts: [161], choice: 'list', patience: 'listen', sessions: 0, confined: 0, running: true, restarts: 0, lost: 0 },
  mesh: { state: 'joined', peers: 2, name: 'h1', site: 'home', signatures: 'required', registrar: false },
  hub: {
    state: 'introduced',
    endpoint: 'hub.example:8883',
    thing: 'h1',
    waiting: 0,
    head: { epoch: 1, number: 12 },
    receiptAt: null,
    advisoryAt: '2026-11-24T12:00:00.000Z',
    votesFrom: null,
  },
  store: { events: 3, ok: true },
  packets: { pass: 10, 'drop-ban': 12, 'would-drop-scan': 1 },
  degraded: [],
  since: '2026-11-24T11:00:00.000Z',
};

export const peerRow: PeerRow = {
  name: 'h2',
  address: '198.51.100.2:7946',
  state: 'alive',
  signed: true,
  site: 'lab',
  key: 'edc08893c67763f2' as KeyId,
  answeredAt: '2026-11-24T12:00:00.000Z',
  trust: 0.95,
  adviceAccepted: 7,
  adviceRefused: 1,
};

export const explainReport: ExplainReport = {
  address: '203.0.113.7',
  verdict: 'dropped',
  because: 'banned by its own act',
  ban: banRow,
  allow: null,
  kernel: { shun: null, watched: false },
  steps: [{ at: '2026-11-24T12:00:00.000Z', what: 'touched the trap on port 22' }],
  events: [eventRow(1)],
  receipts: [],
  lifts: 'honeymesh bans remove 203.0.113.7',
  sharable: { yes: false, why: 'documentation (RFC 5737)' },
};

export interface Asked {
  readonly op: string;
  readonly args: unknown;
}

export interface FakeOperations extends Operations {
  readonly asked: Asked[];
  /** Sends an event to every tail. */
  emit(row: EventRow): void;
  tails(): number;
}

export function fakeOperations(replaced: Partial<Operations> = {}): FakeOperations {
  const asked: Asked[] = [];
  const tails = new Set<(row: EventRow) => void>();
  const answer =
    <T>(op: string, value: T) =>
    (args?: unknown): Promise<T> => {
      asked.push({ op, args });
      return Promise.resolve(value);
    };
  const events = [3, 2, 1].map(id => eventRow(id));
  return {
    asked,
    emit: row => {
      for (const tail of tails) tail(row);
    },
    tails: () => tails.size,
    status: answer('status', statusReport),
    listBans: answer('listBans', [banRow]),
    addBan: answer('addBan', { ...banRow, tier: 'operator', expiresAt: null }),
    dryRunBan: answer('dryRunBan', {
      target: '203.0.113.0/24',
      refused: null,
      fix: null,
      addresses: '256',
      allowedWithin: [],
      bystanders: ['203.0.113.9'],
      bansWithin: 1,
      coveredBy: null,
    }),
    removeBan: answer('removeBan', { removed: ['203.0.113.7/32'] }),
    importBans: answer('importBans', { added: 1, refused: [] }),
    listAllowed: answer('listAllowed', [
      { target: '198.51.100.0/24', cause: 'config', why: 'in /etc/honeymesh/config.yaml', since: '2026-11-24T11:00:00.000Z' },
    ]),
    addAllowed: answer('addAllowed', { target: '198.51.100.7/32', cause: 'operator', why: 'by order of the operator', since: '2026-11-24T12:00:00.000Z' }),
    removeAllowed: answer('removeAllowed', { removed: ['198.51.100.7/32'] }),
    listEvents: answer('listEvents', events),
    logTip: answer('logTip', { head: 'ab'.repeat(32), lastId: 20_000, firstId: 1 }),
    notifyTest: answer('notifyTest', [{ channel: 'webhook', ok: true, why: null, fix: null, tookMs: 12 }]),
    listPeers: answer('listPeers', [peerRow]),
    hubUse: answer('hubUse', statusReport.hub),
    meshStatus: answer('meshStatus', meshAnswers.meshStatus),
    meshPrepare: answer('meshPrepare', meshAnswers.meshPrepare),
    meshInit: answer('meshInit', meshAnswers.meshInit),
    meshInvite: answer('meshInvite', meshAnswers.meshInvite),
    meshInvites: answer('meshInvites', meshAnswers.meshInvites),
    meshCancelInvite: answer('meshCancelInvite', meshAnswers.meshCancelInvite),
    meshJoin: answer('meshJoin', meshAnswers.meshJoin),
    meshRotateKey: answer('meshRotateKey', meshAnswers.meshRotateKey),
    meshRevoke: answer('meshRevoke', meshAnswers.meshRevoke),
    meshDraftRevocation: answer('meshDraftRevocation', meshAnswers.meshDraftRevocation),
    meshPublishRevocation: answer('meshPublishRevocation', meshAnswers.meshPublishRevocation),
    meshLeave: answer('meshLeave', meshAnswers.meshLeave),
    explain: answer('explain', explainReport),
    pause: answer('pause', { pausedUntil: '2026-11-24T12:05:00.000Z' }),
    tokenStatus: answer('tokenStatus', {
      since: '2026-11-24T11:00:00.000Z',
      formerUntil: null,
      url: 'https://127.0.0.1:8443/',
      fingerprint: 'AB:CD',
      refused: { wrong: 1, missing: 2, limited: 0, evidence: 0 },
    }),
    tokenRotate: answer('tokenRotate', { token: 'ab'.repeat(32), formerUntil: null, url: 'https://127.0.0.1:8443/' }),
    showConfig: answer('showConfig', { mode: 'enforce' }),
    stop: answer('stop', { stopping: true }),
    tail(onEvent, signal) {
      asked.push({ op: 'tail', args: undefined });
      tails.add(onEvent);
      signal.addEventListener('abort', () => tails.delete(onEvent), { once: true });
    },
    ...replaced,
  };
}
