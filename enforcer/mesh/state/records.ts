/** The kept values as JSON, bytes in base64. What is read is checked as if a stranger had written it: a disk may hold anything. */
import { CLUSTER_ID_BYTES } from '@honeymesh/intel/envelope';
import { MOST_ENDPOINTS } from '../node/resolve.ts';
import type { KeyUse, MeshIdentity, MeshKeys, MeshMembership, MeshTrust } from '../port.ts';
import { isNodeName, LONGEST_CERTIFICATE_BYTES } from '../signed/certificates.ts';
import { KEY_BYTES } from '../signed/keys.ts';
import { LONGEST_REVOCATIONS_BYTES } from '../signed/revocations.ts';

/** Of each file: a later version of this program may write what this one cannot read. */
const VERSION = 1;

/** Group keys that a ring holds over a rotation are two or three. */
export const MOST_KEYS = 16;
export const MOST_REGISTRAR_CERTIFICATES = 512;
export const MOST_REVOCATION_LISTS = 128;
export const MOST_NAMES = 65_536;
const LONGEST_TARGET = 600;
const LONGEST_LABEL = 255;
const SPKI_HASH_BYTES = 32;

type Fields = Readonly<Record<string, unknown>>;

const encoded = (fields: Fields): string => `${JSON.stringify({ version: VERSION, ...fields }, inBase64, 2)}\n`;

/** `value` of a Buffer would be its own idea of JSON: so what it was before is looked at. */
function inBase64(this: Fields, key: string, value: unknown): unknown {
  const raw = this[key];
  return raw instanceof Uint8Array ? text64(raw) : value;
}

const text64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

export const encodeIdentity = ({ nodeName, edSecret, xSecret }: MeshIdentity): string => encoded({ nodeName, edSecret, xSecret });
export const encodeTrust = ({ clusterId, rootPublic, certificate, registrars, revocations, names }: MeshTrust): string =>
  encoded({ clusterId, rootPublic, certificate, registrars, revocations, names: names.slice(-MOST_NAMES) });
export const encodeKeys = ({ keys, generation }: MeshKeys): string => encoded({ keys, generation });
export const encodeMembership = ({ bind, join, label, registrar }: MeshMembership): string =>
  encoded({ bind, join, label, registrar: registrar === null ? null : { address: registrar.address, pin: registrar.pin } });
export const encodeUse = ({ keyId, encrypted }: KeyUse): string => encoded({ keyId, encrypted });
export const encodeEpoch = (epoch: number): string => encoded({ epoch });

/** Null: it is not what was written. */
export type Decoder<T> = (text: string) => T | null;

/** Runs `take` on the fields; what it finds amiss it says by `null` anywhere on the way. */
function decoder<T>(take: (fields: Fields) => T | null): Decoder<T> {
  return text => {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value !== 'object' || value === null || !('version' in value) || value.version !== VERSION) return null;
      return take(value as Fields);
    } catch {
      return null;
    }
  };
}

export const decodeIdentity: Decoder<MeshIdentity> = decoder(({ nodeName, edSecret, xSecret }) => {
  const [ed, x] = [bytesFrom(edSecret, KEY_BYTES), bytesFrom(xSecret, KEY_BYTES)];
  return typeof nodeName === 'string' && isNodeName(nodeName) && ed !== null && x !== null ? { nodeName, edSecret: ed, xSecret: x } : null;
});

export const decodeTrust: Decoder<MeshTrust> = decoder(fields => {
  const clusterId = bytesFrom(fields.clusterId, CLUSTER_ID_BYTES);
  const rootPublic = bytesFrom(fields.rootPublic, KEY_BYTES);
  const certificate = bytesFrom(fields.certificate, { most: LONGEST_CERTIFICATE_BYTES });
  const registrars = listFrom(fields.registrars, MOST_REGISTRAR_CERTIFICATES, one => bytesFrom(one, { most: LONGEST_CERTIFICATE_BYTES }));
  const revocations = listFrom(fields.revocations, MOST_REVOCATION_LISTS, one => bytesFrom(one, { most: LONGEST_REVOCATIONS_BYTES }));
  const names = listFrom(fields.names, MOST_NAMES, one => (typeof one === 'string' && isNodeName(one) ? one : null));
  if (clusterId === null || rootPublic === null || certificate === null || registrars === null || revocations === null || names === null) return null;
  return { clusterId, rootPublic, certificate, registrars, revocations, names };
});

export const decodeKeys: Decoder<MeshKeys> = decoder(({ keys, generation }) => {
  const list = listFrom(keys, MOST_KEYS, one => bytesFrom(one, 16) ?? bytesFrom(one, 24) ?? bytesFrom(one, 32));
  return list === null || !isCount(generation) ? null : { keys: list, generation };
});

export const decodeMembership: Decoder<MeshMembership> = decoder(({ bind, join, label, registrar }) => {
  const targets = listFrom(join, MOST_ENDPOINTS, one => textFrom(one, LONGEST_TARGET));
  const [boundTo, name] = [textFrom(bind, LONGEST_TARGET), textFrom(label, LONGEST_LABEL)];
  if (targets === null || boundTo === null || name === null) return null;
  if (registrar === null) return { bind: boundTo, join: targets, label: name, registrar };
  const place = registrarFrom(registrar);
  return place === null ? null : { bind: boundTo, join: targets, label: name, registrar: place };
});

export const decodeUse: Decoder<KeyUse> = decoder(({ keyId, encrypted }) => {
  const id = textFrom(keyId, 64);
  return id === null || !isCount(encrypted) ? null : { keyId: id, encrypted };
});

export const decodeEpoch: Decoder<number> = decoder(({ epoch }) => (isCount(epoch) ? epoch : null));

function registrarFrom(value: unknown): MeshMembership['registrar'] {
  if (typeof value !== 'object' || value === null || !('address' in value) || !('pin' in value)) return null;
  const [address, pin] = [textFrom(value.address, LONGEST_TARGET), bytesFrom(value.pin, SPKI_HASH_BYTES)];
  return address === null || pin === null ? null : { address, pin };
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const textFrom = (value: unknown, longest: number): string | null => (typeof value === 'string' && value.length <= longest ? value : null);

function bytesFrom(value: unknown, length: number | { readonly most: number }): Uint8Array | null {
  if (typeof value !== 'string') return null;
  const bytes = Uint8Array.from(Buffer.from(value, 'base64'));
  // Buffer leaves out what is no base64: then it is not what was written.
  if (text64(bytes) !== value) return null;
  return (typeof length === 'number' ? bytes.length === length : bytes.length <= length.most) ? bytes : null;
}

function listFrom<T>(value: unknown, most: number, take: (item: unknown) => T | null): readonly T[] | null {
  if (!Array.isArray(value) || value.length > most) return null;
  const taken = value.map(take);
  return taken.every(item => item !== null) ? taken : null;
}
