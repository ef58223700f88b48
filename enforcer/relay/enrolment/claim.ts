/**
 * Enrolment of many hosts by a claim that they share: a certificate that may do nothing but ask for one of its own, and a code that counts. IoT's fleet
 * provisioning over MQTT; the key stays here, so only `create-from-csr` is asked.
 */
import { HoneyMeshError } from '../../errors.ts';
import type { ConnectTransport, Transport } from '../transport.ts';
import type { Cloud, EnrolmentOrder } from './operator.ts';

export interface ClaimOptions {
  readonly host: string;
  readonly port: number;
  /** PEM of the claim, and of the endpoint's root. */
  readonly certificate: string;
  readonly key: string;
  readonly ca: string | null;
  readonly code: string;
  /** The provisioning template: the hub's name. */
  readonly template: string;
  /** What tells two hosts apart that claim at the same time. */
  readonly nonce: string;
}

/** The claim's policy lets it connect under names that begin so. */
export const CLAIM_CLIENT = 'claim~';
const REQUEST_TOPIC = '$aws/certificates/create-from-csr/json';
const ANSWER_MS = 20_000;
const LONGEST_ANSWER_BYTES = 65_536;

export function createClaim(options: ClaimOptions, connect: ConnectTransport): Cloud {
  const { host, port, certificate, key, ca, code, template, nonce } = options;

  async function certify({ thing, kid, site }: EnrolmentOrder, request: string): Promise<{ readonly certificate: string; readonly certificateId: string }> {
    const provision = `$aws/provisioning-templates/${template}/provision/json`;
    const waiting = new Map<string, (payload: Uint8Array) => void>();
    const connected = Promise.withResolvers<void>();
    const transport = connect(
      { host, port, clientId: `${CLAIM_CLIENT}${nonce}`, certificate, key, ca },
      {
        onConnected: connected.resolve,
        onDisconnected: why => connected.reject(new HoneyMeshError('HM_REFUSED', `the hub's broker is not reached as a claim: ${why}`, { fix: CLAIM_FIX })),
        onMessage: (topic, payload) => waiting.get(topic)?.(payload),
      },
    );
    transport.start();
    try {
      await within(connected.promise, `the hub's broker did not answer at ${host}:${port}`);
      const made = await ask(transport, waiting, REQUEST_TOPIC, { certificateSigningRequest: request });
      const { certificateId, certificatePem, certificateOwnershipToken } = made;
      if (
        typeof certificateId !== 'string' ||
        typeof certificatePem !== 'string' ||
        typeof certificateOwnershipToken !== 'string' ||
        !/^[0-9a-f]{8,128}$/.test(certificateId)
      )
        throw new HoneyMeshError('HM_REFUSED', 'IoT answered with no certificate', { fix: 'try again' });
      const parameters = { ThingName: thing, Site: site, Kid: kid, Code: code };
      await ask(transport, waiting, provision, { certificateOwnershipToken, parameters });
      return { certificate: certificatePem, certificateId };
    } finally {
      await transport.stop();
    }
  }

  return {
    endpoint: () =>
      Promise.reject(new HoneyMeshError('HM_USAGE', 'a claim does not know where the hub is', { fix: 'give --endpoint: "npm run hub:deploy" printed it' })),
    enrol: () => Promise.resolve('made'),
    // A claim may not look; the connection will tell.
    holds: () => Promise.resolve(true),
    certify,
    retire: () => Promise.resolve([]),
  };
}

const CLAIM_FIX = 'is the claim certificate ACTIVE, with the policy for claims attached, and --ca the root of the endpoint (docs/hub.md)?';

async function ask(
  transport: Transport,
  waiting: Map<string, (payload: Uint8Array) => void>,
  topic: string,
  question: object,
): Promise<Readonly<Record<string, unknown>>> {
  const [accepted, rejected] = [`${topic}/accepted`, `${topic}/rejected`];
  const answer = Promise.withResolvers<Readonly<Record<string, unknown>>>();
  waiting.set(accepted, payload => answer.resolve(objectOf(payload)));
  waiting.set(rejected, payload => {
    const { errorCode, errorMessage } = objectOf(payload);
    const why = `${String(errorCode).slice(0, 100)}: ${String(errorMessage).slice(0, 300)}`;
    const fix =
      'does the code hold still, for this site, with a use left, and is no host of this name enrolled yet? "npm run hub:code" makes another one; an enrolled host is renewed with an operator\'s credentials';
    answer.reject(new HoneyMeshError('HM_REFUSED', `the hub refused the claim: ${why}`, { fix }));
  });
  await transport.subscribe([accepted, rejected]);
  await transport.publish(topic, new TextEncoder().encode(JSON.stringify(question)), 1);
  return within(answer.promise, 'the hub did not answer the claim');
}

async function within<T>(asked: Promise<T>, why: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new HoneyMeshError('HM_REFUSED', `${why} within ${ANSWER_MS / 1_000} s`, { fix: CLAIM_FIX })), ANSWER_MS);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

function objectOf(payload: Uint8Array): Readonly<Record<string, unknown>> {
  if (payload.length > LONGEST_ANSWER_BYTES) return {};
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
