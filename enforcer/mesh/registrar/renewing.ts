/** A member asks its registrar: for its certificate anew, for keys that it slept through. Where this host is a registrar of its own site, it asks nobody. */
import type { Signatures } from '@honeymesh/intel/envelope';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshIdentity, MeshLink } from '../port.ts';
import { type NodeCertificate, readCertificate } from '../signed/certificates.ts';
import { type AskFailure, askRegistrar, type RegistrarPlace } from './client.ts';
import type { Registrar, RegistrarDesk } from './desk.ts';
import { clockText, openKeys } from './joining.ts';
import { type KeysAnswer, NONCE_BYTES, proveMember, type RenewAnswer, readKeysAnswer, readRenewAnswer } from './messages.ts';

/** This host as a certified member. */
export interface Member {
  readonly identity: MeshIdentity;
  readonly certificate: NodeCertificate;
  readonly place: RegistrarPlace | null;
}

export interface RenewingDeps {
  readonly member: () => Member | null;
  readonly registrar: () => Registrar | null;
  readonly desk: Pick<RegistrarDesk, 'certify'>;
  readonly link: MeshLink;
  readonly signatures: Signatures;
  readonly now: () => UnixMs;
  readonly random: (bytes: number) => Uint8Array;
  /** It holds from now on. */
  readonly onRenewed: (certificate: NodeCertificate) => void;
  readonly ask?: typeof askRegistrar;
}

export interface Renewing {
  /** Null: done; else why not. */
  renew(): Promise<string | null>;
  fetchKeys(): Promise<string | null>;
  /** `ADDR:PORT`, `this host`, or null: nobody. */
  from(): string | null;
}

export function createRenewing({ member, registrar, desk, link, signatures, now, random, onRenewed, ask = askRegistrar }: RenewingDeps): Renewing {
  /** This host's own registrar, if it may certify it now. */
  function ownRegistrar(one: Member): Registrar | null {
    const own = registrar();
    return own !== null && own.certificate.notAfter > now() && own.certificate.sites.includes(one.certificate.site) ? own : null;
  }

  async function asked<T>(route: 'renew' | 'keys', one: Member, read: (value: unknown) => Parsed<T, 'malformed'>): Promise<Parsed<T>> {
    if (one.place === null) return unparsed('no registrar is known to this host');
    const words = { certificate: one.certificate.bytes, time: now(), nonce: random(NONCE_BYTES) };
    const request = proveMember(route, words, { clusterId: one.certificate.clusterId, pin: one.place.pin }, one.identity.edSecret, signatures);
    const answer = await ask(one.place, route, { ...request }, read);
    return answer.ok ? parsed(answer.value) : unparsed(failureText(answer.failure, now()));
  }

  async function taken(certificate: Uint8Array): Promise<string | null> {
    const read = readCertificate(certificate);
    if (!read.ok || read.value.kind !== 'node') return 'its answer holds no certificate';
    const done = await link.renew(certificate);
    if (done === null) return 'the mesh is down on this host';
    if (!done) return 'the new certificate does not hold';
    onRenewed(read.value);
    return null;
  }

  return {
    from() {
      const one = member();
      if (one === null) return null;
      return ownRegistrar(one) === null ? (one.place?.address ?? null) : 'this host';
    },
    async renew() {
      const one = member();
      if (one === null) return 'this host has no certificate';
      const own = ownRegistrar(one);
      if (own !== null) return taken((await desk.certify(one.certificate, own)).bytes);
      const answer: Parsed<RenewAnswer> = await asked('renew', one, readRenewAnswer);
      if (!answer.ok) return answer.why;
      await link.learn(answer.value.registrars, answer.value.revocations);
      return taken(answer.value.certificate);
    },
    async fetchKeys() {
      const one = member();
      if (one === null) return 'this host has no certificate';
      const answer: Parsed<KeysAnswer> = await asked('keys', one, readKeysAnswer);
      if (!answer.ok) return answer.why;
      await link.learn(answer.value.registrars, answer.value.revocations);
      const issuer = answer.value.issuer;
      const keys = openKeys(answer.value, { ...one.certificate, registrar: issuer }, one.identity);
      if (keys === null) return "its answer's keys are not sealed for this host";
      const held = await link.keys();
      if (held === null || held.generation >= keys.generation) return null;
      await link.adoptKeys(keys);
      await link.join(); // those who could not be understood before
      return null;
    },
  };
}

const REFUSED: Readonly<Record<string, string>> = {
  revoked: 'it has revoked this host',
  'certificate-expired': 'the certificate of this host has ended',
  'unknown-host': 'it does not know who certified this host',
  'site-not-allowed': 'it may not certify hosts of this site any more',
  'registrar-expired': 'its own certificate has ended: honeymesh mesh init --root-file FILE there',
  'not-ready': 'its mesh is down',
  'too-many': 'it is asked too often just now',
};

function failureText(failure: AskFailure, now: UnixMs): string {
  switch (failure.why) {
    case 'unreachable':
    case 'not-understood':
      return failure.text;
    case 'wrong-key':
      return 'who answers there has another key than the registrar';
    case 'clock-skew':
      return clockText(failure.theirTime, now);
    default:
      return REFUSED[failure.why] ?? `it refused (${failure.why})`;
  }
}
