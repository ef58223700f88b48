/** Whose nodes are benched: ours from this checkout, and Go's, built from the module that test/interop/go-peer pins. */
import { buildGoPeer } from '#test/support/go-peer.ts';
import { OUR_PEER } from '#test/support/mesh-peers.ts';
import type { Kind } from './member.ts';

export const OURS: Kind = { name: 'HoneyMesh', program: OUR_PEER };

/** With an identity each: the daemon's own member of the mesh, and a ledger that judges what it hears. */
export const OURS_SIGNED: Kind = { name: 'HoneyMesh, signed', program: OUR_PEER, signs: true };

export const GO_NAME = 'Go memberlist 0.7.0';

export interface GoKind {
  readonly kind: Kind;
  remove(): void;
}

/** Null where there is no Go that can build it. */
export function goKind(): GoKind | null {
  const built = buildGoPeer();
  return built === null ? null : { kind: { name: GO_NAME, program: built.program }, remove: built.remove };
}
