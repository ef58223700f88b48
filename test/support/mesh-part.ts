/** A mesh part without a thread: it believes what the roster believes, keeps what it is told to keep, and hears nobody. For tests of what stands on it. */
import { openEnvelope } from '@honeymesh/intel/envelope';
import { decodeRekey } from '@honeymesh/intel/envelope-bodies';
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshKept, MeshLink, MeshPart, MeshPeer, MeshState, MeshView } from '#enforcer/mesh/port.ts';
import { rosterOf } from '#enforcer/mesh/registrar/desk.ts';
import { readCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { readRevocations } from '#enforcer/mesh/signed/revocations.ts';
import type { Roster } from '#enforcer/mesh/signed/roster.ts';
import { openGroupKey } from '#enforcer/mesh/signed/sealed-keys.ts';
import { real } from '#test/support/hm1.ts';

export interface TestMeshPart extends MeshPart {
  readonly announced: Uint8Array[];
  readonly peersSeen: MeshPeer[];
  /** As if its thread had died. */
  down: boolean;
  restarts: number;
}

export function createTestMeshPart(state: MeshState, now: () => UnixMs): TestMeshPart {
  let kept: MeshKept | null = null;
  let roster: Roster | null = null;
  const announced: Uint8Array[] = [];
  const peersSeen: MeshPeer[] = [];

  const trusted = (): boolean => !part.down && kept?.trust != null;

  async function keep(): Promise<void> {
    if (kept?.trust == null || roster === null) return;
    const trust = { ...kept.trust, registrars: roster.registrars().map(one => one.bytes), revocations: roster.revocationLists().map(one => one.bytes) };
    kept = { ...kept, trust };
    await state.keepTrust(trust);
  }

  const link: Partial<MeshLink> = {
    async learn(certificates, revocations) {
      if (!trusted() || roster === null) return null;
      const refused: string[] = [];
      for (const bytes of certificates) {
        const read = readCertificate(bytes);
        const learnt = read.ok ? roster.learn(read.value, now()) : read;
        if (!learnt.ok) refused.push(learnt.why);
      }
      for (const bytes of revocations) {
        const read = readRevocations(bytes);
        const learnt = read.ok ? roster.learnRevocations(read.value, now()) : read;
        if (!learnt.ok) refused.push(learnt.why);
      }
      await keep();
      return refused;
    },
    async announce(envelope) {
      if (!trusted() || kept?.identity == null || kept.trust === null) return null;
      announced.push(envelope);
      const opened = openEnvelope(envelope);
      const rekey = opened.ok ? decodeRekey(opened.value.body) : opened;
      const own = readCertificate(kept.trust.certificate);
      if (!opened.ok || !rekey.ok || !own.ok) return ['malformed'];
      const group = openGroupKey(
        rekey.value,
        { kid: own.value.kid, xSecret: kept.identity.xSecret },
        { clusterId: own.value.clusterId, issuer: opened.value.kid },
      );
      if (group === null) return [];
      const keys = { keys: [group.key, ...(kept.keys?.keys ?? [])], generation: group.generation };
      kept = { ...kept, keys };
      await state.keepKeys(keys);
      return [];
    },
    async renew(certificate) {
      const read = readCertificate(certificate);
      if (!trusted() || kept?.trust == null || roster === null) return null;
      if (!read.ok || !roster.learn(read.value, now()).ok) return false;
      kept = { ...kept, trust: { ...kept.trust, certificate } };
      await keep();
      return true;
    },
    certified: async () => (trusted() && roster !== null ? roster.nodes(now()).map(one => one.bytes) : null),
    keys: async () => (trusted() ? (kept?.keys ?? { keys: [], generation: 0 }) : null),
    async adoptKeys(keys) {
      if (!trusted() || kept === null) return null;
      kept = { ...kept, keys };
      await state.keepKeys(keys);
      return undefined as never;
    },
    join: async () => (trusted() ? { contacted: 0, failed: [] } : null),
    leave: async () => (trusted() ? 'told' : null),
  };

  async function begin(): Promise<void> {
    kept = await state.load();
    roster = kept.trust === null ? null : rosterOf(kept.trust, real, now());
    const own = kept.trust === null ? null : readCertificate(kept.trust.certificate);
    if (own?.ok) roster?.learn(own.value, now());
  }

  const view = (): MeshView | null =>
    !trusted() || kept === null
      ? null
      : {
          self: { name: kept.identity?.nodeName ?? '', address: '127.0.0.1:7946', signer: null, site: null, certifiedUntil: null },
          peers: peersSeen,
          sites: 1,
          hosts: 1,
          keyGeneration: kept.keys?.generation ?? 0,
          keyIds: [],
          health: 0,
          counts: {},
        };

  const part: TestMeshPart = {
    announced,
    peersSeen,
    down: false,
    restarts: 0,
    start: begin,
    async restart() {
      part.restarts++;
      await begin();
    },
    link: () => link as MeshLink,
    decided() {},
    surroundings: { sites: 1, hosts: 1, hubEndpoints: [], answered: () => null },
    report: () => ({
      state: part.down ? 'down' : kept?.membership == null ? 'off' : peersSeen.length === 0 ? 'alone' : 'joined',
      peers: peersSeen.length,
      name: kept?.identity?.nodeName ?? null,
      site: null,
      signatures: kept?.trust == null ? 'off' : 'required',
      registrar: false,
    }),
    peers: () => [],
    view,
    tick() {},
    async stop() {
      kept = null;
      roster = null;
    },
  };
  return part;
}
