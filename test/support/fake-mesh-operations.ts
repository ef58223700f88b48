/** Answers of the daemon to orders about the mesh, for tests of the command line. */
import type { JoinReport, MeshStatusReport, RotationReport } from '#enforcer/control/mesh-operations.ts';

export const REGISTRAR_KEY = 'a1b2c3d4e5f60718';

export const rotationReport: RotationReport = {
  generation: 4,
  useAt: '2026-11-24T12:01:30.000Z',
  dropOldAt: '2026-11-24T12:11:30.000Z',
  hosts: 3,
};

export const meshStatusReport: MeshStatusReport = {
  state: 'joined',
  name: 'anvil',
  site: 'home',
  key: '0011223344556677',
  cluster: 'c0c1c2c3c4c5c6c7c8c9cacbcccdcecf',
  signatures: 'required',
  certifiedUntil: '2027-02-22T12:00:00.000Z',
  renewsAt: '2027-01-23T12:00:00.000Z',
  renewsFrom: 'this host',
  keyGeneration: 3,
  peers: 2,
  registrar: { key: REGISTRAR_KEY, sites: ['home', 'lab'], until: '2026-12-24T12:00:00.000Z', address: '0.0.0.0:7947', openInvites: 1, refusals: 0 },
  registrars: [{ key: REGISTRAR_KEY, sites: ['home', 'lab'], until: '2026-12-24T12:00:00.000Z' }],
};

export const joinReport: JoinReport = {
  name: 'badger',
  key: '8899aabbccddeeff',
  site: 'home',
  cluster: 'c0c1c2c3c4c5c6c7c8c9cacbcccdcecf',
  certifiedUntil: '2027-02-22T12:00:00.000Z',
  registrar: { address: '192.0.2.1:7947', key: REGISTRAR_KEY },
  keyGeneration: 3,
  signatures: 'required',
  met: ['anvil'],
};

const invite = { id: '0a1b2c3d', site: 'home', createdAt: '2026-11-24T12:00:00.000Z', expiresAt: '2026-11-24T13:00:00.000Z', uses: 1, used: 0 };

export const meshAnswers = {
  meshStatus: meshStatusReport,
  meshPrepare: {
    cluster: null,
    rootPublic: null,
    registrarKey: Buffer.alloc(32, 5).toString('base64'),
    name: 'anvil',
    site: null,
    sites: [],
  },
  meshInit: meshStatusReport,
  meshInvite: { ...invite, token: 'hmj1_token', addresses: ['192.0.2.1:7947'] },
  meshInvites: [invite],
  meshCancelInvite: { cancelled: '0a1b2c3d' },
  meshJoin: joinReport,
  meshRotateKey: rotationReport,
  meshRevoke: { name: 'badger', key: '8899aabbccddeeff', by: 'registrar', number: 1, fallen: [], rekeyed: rotationReport },
  meshDraftRevocation: {
    key: REGISTRAR_KEY,
    name: null,
    notAfter: '2027-03-24T12:00:00.000Z',
    cluster: '',
    rootPublic: '',
    former: null,
  },
  meshPublishRevocation: { name: null, key: REGISTRAR_KEY, by: 'root', number: 1, fallen: [], rekeyed: rotationReport },
  meshLeave: { goodbye: 'told', name: 'badger', wasRegistrar: false, configured: false },
} as const;
