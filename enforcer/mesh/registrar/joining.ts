/** A host joins: finds the registrar of its token, shows the secret, and believes nothing of the answer that does not fit together. */
import type { Signatures } from '@honeymesh/intel/envelope';
import { decodeRekey } from '@honeymesh/intel/envelope-bodies';
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import { rfc3339, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import { HoneyMeshError } from '../../errors.ts';
import { parseTarget } from '../node/places.ts';
import type { MeshIdentity, MeshKeys, MeshMembership, MeshTrust } from '../port.ts';
import { type NodeCertificate, readCertificate } from '../signed/certificates.ts';
import { edPublicOf, kidOf, xPublicOf } from '../signed/keys.ts';
import { openGroupKey } from '../signed/sealed-keys.ts';
import { hostPart, withPort } from './addresses.ts';
import { type Asked, type AskFailure, askRegistrar } from './client.ts';
import { rosterOf } from './desk.ts';
import { type JoinAnswer, proveJoin, readJoinAnswer } from './messages.ts';
import type { JoinToken } from './token.ts';

export interface JoinDeps {
  readonly signatures: Signatures;
  readonly now: () => UnixMs;
  readonly ask?: typeof askRegistrar;
}

export interface Joined {
  readonly trust: MeshTrust;
  readonly keys: MeshKeys;
  readonly membership: MeshMembership;
  readonly certificate: NodeCertificate;
  /** Where the registrar was found. */
  readonly address: string;
}

export interface JoinOrder {
  readonly token: JoinToken;
  readonly identity: MeshIdentity;
  readonly bind: string;
  /** Kept already, of the same mesh: a host whose certificate has ended, or that goes over to another registrar. */
  readonly known: MeshTrust | null;
}

/** Throws a HoneyMeshError that says what to do. */
export async function joinMesh({ token, identity, bind, known }: JoinOrder, { signatures, now, ask = askRegistrar }: JoinDeps): Promise<Joined> {
  if (token.expiresAt + GRACE_MS < now()) {
    throw new HoneyMeshError('HM_REFUSED', `the token expired at ${rfc3339(token.expiresAt)}; this host's clock says ${rfc3339(now())}`, {
      fix: `if the clock is right: ${NEW_TOKEN.fix}; else set it first (timedatectl set-ntp true)`,
    });
  }
  const faults: string[] = [];
  for (const address of token.addresses) {
    const place = { address, pin: token.pin };
    const { nodeName, edSecret, xSecret } = identity;
    const words = { secret: token.secret, nodeName, edPublic: edPublicOf(edSecret), xPublic: xPublicOf(xSecret), time: now() };
    const request = proveJoin(words, token, edSecret, signatures);
    const asked: Asked<JoinAnswer> = await ask(place, 'join', { ...request }, readJoinAnswer);
    if (asked.ok) return accepted(asked.value, address, { token, identity, bind, known }, { signatures, now });
    const { failure } = asked;
    if (failure.why !== 'unreachable' && failure.why !== 'wrong-key' && failure.why !== 'not-understood') throw refusal(failure, identity, token, now());
    faults.push(`${address}: ${failure.why === 'wrong-key' ? 'who answers there has another key than the registrar of this token' : failure.text}`);
  }
  throw new HoneyMeshError('HM_REFUSED', `the registrar was not found: ${faults.join('; ')}`, {
    fix: 'is its daemon running ("honeymesh mesh status" there), does a firewall admit its port, is a proxy in the way? "honeymesh mesh invite --address HOST:PORT" makes a token with another address',
  });
}

const GRACE_MS = 30 * SECOND_MS;
const NEW_TOKEN = { fix: 'make a new one on the registrar: honeymesh mesh invite' };

function refusal(failure: Extract<AskFailure, { theirTime: UnixMs }>, { nodeName }: MeshIdentity, { site }: JoinToken, now: UnixMs): HoneyMeshError {
  const refused = (message: string, fix: string): HoneyMeshError => new HoneyMeshError('HM_REFUSED', message, { fix });
  switch (failure.why) {
    case 'clock-skew':
      return refused(clockText(failure.theirTime, now), 'set the clock (timedatectl set-ntp true, or chronyc makestep), then use the same token again');
    case 'unknown-token':
      return refused('the registrar does not know this token', NEW_TOKEN.fix);
    case 'expired-token':
      return refused('the token has expired', NEW_TOKEN.fix);
    case 'used-token':
      return refused('the token was used already', `${NEW_TOKEN.fix}; if you did not use it, see there who joined: honeymesh events list --kind auth`);
    case 'cancelled-token':
      return refused('the token was cancelled', NEW_TOKEN.fix);
    case 'name-taken':
      return refused(
        `the mesh has a host named ${nodeName} already`,
        `join under another name (--name), or take the old one out first: honeymesh mesh revoke ${nodeName}`,
      );
    case 'certified-otherwise':
      return refused(
        'this host is certified for another site or under another name',
        '"honeymesh mesh leave" first, then the same token again: it comes with new keys',
      );
    case 'site-not-allowed':
      return refused(
        `the registrar may not certify hosts of site ${site} any more`,
        `make it a registrar of that site: honeymesh mesh init --sites ...,${site} --root-file FILE`,
      );
    case 'registrar-expired':
      return refused("the registrar's own certificate has ended", 'renew it there: honeymesh mesh init --root-file FILE');
    case 'revoked':
      return refused("this host's key was revoked", 'make new keys: "honeymesh mesh leave" here, then join with a new token');
    case 'too-many':
      return refused('the registrar is asked too often just now', 'wait a minute, then use the same token again');
    case 'not-ready':
      return refused('the registrar is not ready: its mesh is down, or it left', '"honeymesh mesh status" there says why');
    default:
      return refused(`the registrar did not take the request (${failure.why})`, 'the two may run different versions: "honeymesh status" shows them');
  }
}

export function clockText(theirTime: UnixMs, now: UnixMs): string {
  const seconds = Math.round(Math.abs(theirTime - now) / SECOND_MS);
  return `this host's clock is ${seconds} s ${now > theirTime ? 'ahead of' : 'behind'} the registrar's; 30 s are allowed`;
}

function accepted(answer: JoinAnswer, address: string, { token, identity, bind, known }: JoinOrder, { signatures, now }: JoinDeps): Joined {
  const nonsense = (what: string): HoneyMeshError =>
    new HoneyMeshError('HM_REFUSED', `the registrar's answer does not hold: ${what}`, {
      fix: 'nothing of it was kept; do clocks and versions of the two agree?',
    });
  const { clusterId, rootPublic } = answer;
  if (!sameBytes(clusterId, token.clusterId)) throw nonsense('it is of another mesh');
  if (known !== null && !sameBytes(known.rootPublic, rootPublic)) throw nonsense('its root is not the one that this host knows');
  const trust: MeshTrust = {
    clusterId,
    rootPublic,
    certificate: answer.certificate,
    registrars: union(answer.registrars, known?.registrars ?? []),
    revocations: union(answer.revocations, known?.revocations ?? []),
    names: known?.names ?? [],
  };
  const certificate = ownCertificate(trust, identity, signatures, now());
  if (certificate === null) throw nonsense('the certificate is not one for this host, or not of a registrar that the root certified');
  const keys = openKeys(answer, certificate, identity);
  if (keys === null) throw nonsense("the group's keys are not sealed for this host");
  return {
    trust,
    keys,
    certificate,
    address,
    membership: { bind, join: meetingPlaces(address, answer.join), label: answer.label, registrar: { address, pin: token.pin } },
  };
}

/** What this host knew besides stays known: of two lists of one issuer the later counts. */
const union = (told: readonly Uint8Array[], known: readonly Uint8Array[]): readonly Uint8Array[] => [
  ...told,
  ...known.filter(one => !told.some(other => sameBytes(one, other))),
];

/** Ours, and certified as `trust` demands; null: it is not. */
export function ownCertificate(trust: MeshTrust, { nodeName, edSecret, xSecret }: MeshIdentity, signatures: Signatures, now: UnixMs): NodeCertificate | null {
  const read = readCertificate(trust.certificate);
  if (!read.ok || read.value.kind !== 'node' || read.value.nodeName !== nodeName) return null;
  if (!sameBytes(read.value.edPublic, edPublicOf(edSecret)) || !sameBytes(read.value.xPublic, xPublicOf(xSecret))) return null;
  return rosterOf(trust, signatures, now).learn(read.value, now).ok ? read.value : null;
}

/** Null: one of them is not for us. */
export function openKeys(
  answer: { readonly generation: number; readonly sealed: readonly Uint8Array[] },
  certificate: NodeCertificate,
  { edSecret, xSecret }: MeshIdentity,
): MeshKeys | null {
  const keys: Uint8Array[] = [];
  for (const bytes of answer.sealed) {
    const body = decodeRekey(bytes);
    const issuer = { clusterId: certificate.clusterId, issuer: certificate.registrar };
    const group =
      body.ok && body.value.generation === answer.generation ? openGroupKey(body.value, { kid: kidOf(edPublicOf(edSecret)), xSecret }, issuer) : null;
    if (group === null) return null;
    keys.push(group.key);
  }
  return keys.length === 0 ? null : { keys, generation: answer.generation };
}

/** The registrar where we found it comes first: it may know its own address as one that we cannot reach. */
function meetingPlaces(address: string, told: readonly string[]): readonly string[] {
  const [first] = told;
  const port = first === undefined ? undefined : parseTarget(first);
  const found = port?.ok ? [withPort(hostPart(address), port.value.port)] : [];
  return [...new Set([...found, ...told])];
}
