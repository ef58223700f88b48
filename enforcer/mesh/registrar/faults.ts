/** What an operator is told where an order about the mesh makes no sense here. */
import { HoneyMeshError } from '../../errors.ts';
import type { TokenFailure } from './token.ts';

export const notMember = (): HoneyMeshError =>
  new HoneyMeshError('HM_REFUSED', 'this host is no member of a mesh', {
    fix: '"honeymesh mesh join TOKEN" with a token of a registrar ("honeymesh mesh invite" there), or "honeymesh mesh init" for a new mesh',
  });

export const nameError = (name: string): HoneyMeshError =>
  new HoneyMeshError('HM_USAGE', `${JSON.stringify(name.slice(0, 80))} is no name for a host`, {
    fix: 'give 1 to 63 letters, digits, dots, dashes and underscores',
  });

export function tokenError(why: TokenFailure): HoneyMeshError {
  const fix = 'paste it whole, as "honeymesh mesh invite" printed it';
  if (why === 'other-version')
    return new HoneyMeshError('HM_USAGE', 'this token is for another version of HoneyMesh', { fix: 'bring both hosts to the same version' });
  if (why === 'cut-or-mistyped') return new HoneyMeshError('HM_USAGE', 'this token was cut or mistyped: its checksum is wrong', { fix });
  return new HoneyMeshError('HM_USAGE', 'this is no token: one begins with hmj1_', { fix });
}
