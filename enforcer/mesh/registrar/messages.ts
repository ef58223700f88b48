/**
 * What hosts and a registrar say to each other over HTTPS: JSON with bytes in base64, each field bounded. A host proves its key with every request: what is
 * signed names the cluster, the registrar's HTTPS key, the route and the time, so that no request is of use anywhere else, or later.
 */
import { CLUSTER_ID_BYTES, type KeyId, SIGNATURE_BYTES, type Signatures } from '@honeymesh/intel/envelope';
import { latin1Bytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { unixMs } from '@honeymesh/intel/time';
import * as z from 'zod';
import { isNodeName, isSiteName, LONGEST_CERTIFICATE_BYTES, LONGEST_NAME, LONGEST_SITE } from '../signed/certificates.ts';
import { KEY_BYTES, sha256 } from '../signed/keys.ts';
import { LONGEST_REVOCATIONS_BYTES } from '../signed/revocations.ts';
import { MOST_KEYS, MOST_REGISTRAR_CERTIFICATES, MOST_REVOCATION_LISTS } from '../state/records.ts';
import { SECRET_BYTES } from './token.ts';

export const ROUTES = { join: '/mesh/v1/join', renew: '/mesh/v1/renew', keys: '/mesh/v1/keys' } as const;
export type Route = keyof typeof ROUTES;

/** A request has some 3 kB at the most. */
export const LONGEST_REQUEST_BYTES = 8 * 1_024;
/** Certificates and lists of revoked keys are most of it. */
export const LONGEST_ANSWER_BYTES = 1_024 * 1_024;
export const NONCE_BYTES = 16;
const MOST_JOIN_TARGETS = 16;

/** Why a registrar refuses. Said to who asks, so nothing in it is secret. */
export const REFUSALS = {
  malformed: 400,
  'clock-skew': 403,
  'unknown-token': 403,
  'expired-token': 403,
  'used-token': 403,
  'cancelled-token': 403,
  'bad-proof': 403,
  'name-taken': 409,
  'certified-otherwise': 409,
  'site-not-allowed': 403,
  'unknown-host': 403,
  'certificate-expired': 403,
  revoked: 403,
  replayed: 403,
  'too-many': 429,
  'registrar-expired': 503,
  'not-ready': 503,
} as const;
export type Refusal = keyof typeof REFUSALS;

const bytes = (length: number | { readonly most: number }) =>
  z
    .string()
    .max(Math.ceil((typeof length === 'number' ? length : length.most) / 3) * 4)
    .transform((text, context): Uint8Array => {
      const read = Uint8Array.from(Buffer.from(text, 'base64'));
      const right = Buffer.from(read).toString('base64') === text && (typeof length !== 'number' || read.length === length);
      if (right) return read;
      context.issues.push({ code: 'custom', message: 'not these bytes in base64', input: text });
      return z.NEVER;
    });
const time = z.int().min(0).transform(unixMs);
const certificate = bytes({ most: LONGEST_CERTIFICATE_BYTES });
const nodeName = z.string().max(LONGEST_NAME).refine(isNodeName);

const joinSchema = z.strictObject({
  secret: bytes(SECRET_BYTES),
  nodeName,
  edPublic: bytes(KEY_BYTES),
  xPublic: bytes(KEY_BYTES),
  time,
  proof: bytes(SIGNATURE_BYTES),
});
const memberSchema = z.strictObject({ certificate, time, nonce: bytes(NONCE_BYTES), proof: bytes(SIGNATURE_BYTES) });

const trustShape = {
  time,
  registrars: z.array(certificate).max(MOST_REGISTRAR_CERTIFICATES),
  revocations: z.array(bytes({ most: LONGEST_REVOCATIONS_BYTES })).max(MOST_REVOCATION_LISTS),
};
/** Sealed to the host's X25519 key, primary first; all under the primary's generation. */
const keysShape = { generation: z.int().min(0).max(0xffff_ffff), sealed: z.array(bytes({ most: 256 })).max(MOST_KEYS) };
const joinAnswerSchema = z.object({
  ...trustShape,
  ...keysShape,
  clusterId: bytes(CLUSTER_ID_BYTES),
  rootPublic: bytes(KEY_BYTES),
  certificate,
  site: z.string().max(LONGEST_SITE).refine(isSiteName),
  label: z.string().max(255),
  /** Members to meet, `ADDR:PORT`. */
  join: z.array(z.string().max(255)).max(MOST_JOIN_TARGETS),
});
const renewAnswerSchema = z.object({ ...trustShape, certificate });
const keysAnswerSchema = z.object({
  ...trustShape,
  ...keysShape,
  /** Who sealed them: a host may ask another registrar than the one that certified it. */
  issuer: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .transform(text => text as KeyId),
});
const refusedSchema = z.object({ refused: z.enum(Object.keys(REFUSALS) as [Refusal, ...Refusal[]]), time });

export type JoinRequest = z.output<typeof joinSchema>;
export type MemberRequest = z.output<typeof memberSchema>;
export type JoinAnswer = z.output<typeof joinAnswerSchema>;
export type RenewAnswer = z.output<typeof renewAnswerSchema>;
export type KeysAnswer = z.output<typeof keysAnswerSchema>;
export type Refused = z.output<typeof refusedSchema>;

const reader =
  <T>(schema: z.ZodType<T>) =>
  (value: unknown): Parsed<T, 'malformed'> => {
    const read = schema.safeParse(value);
    return read.success ? parsed(read.data) : unparsed('malformed');
  };

/** Take what came apart. Never throw; the value is hostile and its length was bounded before. */
export const readJoin = reader(joinSchema);
export const readMember = reader(memberSchema);
export const readJoinAnswer = reader(joinAnswerSchema);
export const readRenewAnswer = reader(renewAnswerSchema);
export const readKeysAnswer = reader(keysAnswerSchema);
export const readRefused = reader(refusedSchema);

/** JSON with bytes in base64. */
export function toJson(message: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(message, function (this: Readonly<Record<string, unknown>>, key, value: unknown) {
    const raw = this[key]; // a Buffer would be its own idea of JSON
    return raw instanceof Uint8Array ? Buffer.from(raw).toString('base64') : value;
  });
}

/** Whom a proof is for. */
export interface Audience {
  readonly clusterId: Uint8Array;
  readonly pin: Uint8Array;
}

const DOMAIN = latin1Bytes('HoneyMesh registrar request\0');

function signedJoin(request: Omit<JoinRequest, 'proof'>, { clusterId, pin }: Audience): Uint8Array {
  const { secret, edPublic, xPublic } = request;
  return writeBytes()
    .bytes(DOMAIN)
    .text('join')
    .bytes(clusterId)
    .bytes(pin)
    .u64(request.time)
    .bytes(sha256(secret))
    .text(request.nodeName)
    .bytes(edPublic)
    .bytes(xPublic)
    .take();
}

function signedMember(route: Route, request: Omit<MemberRequest, 'proof'>, { clusterId, pin }: Audience): Uint8Array {
  return writeBytes().bytes(DOMAIN).text(route).bytes(clusterId).bytes(pin).u64(request.time).bytes(request.nonce).bytes(sha256(request.certificate)).take();
}

export function proveJoin(request: Omit<JoinRequest, 'proof'>, audience: Audience, edSecret: Uint8Array, signatures: Signatures): JoinRequest {
  return { ...request, proof: signatures.sign(edSecret, signedJoin(request, audience)) };
}

export const isJoinProven = (request: JoinRequest, audience: Audience, signatures: Signatures): boolean =>
  signatures.verify(request.edPublic, signedJoin(request, audience), request.proof);

export function proveMember(
  route: Route,
  request: Omit<MemberRequest, 'proof'>,
  audience: Audience,
  edSecret: Uint8Array,
  signatures: Signatures,
): MemberRequest {
  return { ...request, proof: signatures.sign(edSecret, signedMember(route, request, audience)) };
}

export const isMemberProven = (route: Route, request: MemberRequest, edPublic: Uint8Array, audience: Audience, signatures: Signatures): boolean =>
  signatures.verify(edPublic, signedMember(route, request, audience), request.proof);
