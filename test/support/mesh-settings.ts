/** Settings of a member, and its view, for tests of what stands around it. */
import { unixMs } from '@honeymesh/intel/time';
import type { MeshPeer, MeshSettings, MeshView } from '#enforcer/mesh/port.ts';

export const meshSettings = (more: Partial<MeshSettings> = {}): MeshSettings => ({
  nodeName: 'h1',
  bind: '127.0.0.1',
  port: 7946,
  advertise: null,
  join: [],
  label: '',
  profile: 'local',
  signatures: 'off',
  seedKey: null,
  directory: '/nonexistent',
  ...more,
});

export const meshPeer = (more: Partial<MeshPeer> = {}): MeshPeer => ({
  name: 'h2',
  address: '198.51.100.2:7946',
  state: 'alive',
  signed: true,
  signer: '0000000000000002' as NonNullable<MeshPeer['signer']>,
  site: 'lab',
  answeredAt: unixMs(0),
  ...more,
});

export const meshView = (peers: readonly MeshPeer[], more: Partial<MeshView> = {}): MeshView => ({
  self: { name: 'h1', address: '198.51.100.1:7946', signer: '0000000000000001' as NonNullable<MeshPeer['signer']>, site: 'home', certifiedUntil: null },
  peers,
  sites: 2,
  hosts: 2,
  keyGeneration: 0,
  keyIds: [],
  health: 0,
  counts: {},
  ...more,
});
