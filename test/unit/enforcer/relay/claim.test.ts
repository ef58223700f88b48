import { expect, test } from 'vitest';
import { createClaim } from '#enforcer/relay/enrolment/claim.ts';
import type { ConnectTransport, TransportOptions } from '#enforcer/relay/transport.ts';
import { CLAIM_CLIENT as ALLOWED } from '#infra/host-policy.ts';

const order = { thing: 'h1', kid: '0011223344556677', site: 'home', policy: 'honeymesh-host', thingType: 'honeymesh-host', enrolledAt: 0 };
const options = { host: 'hub.example', port: 8883, certificate: 'C', key: 'K', ca: null, code: 'secret-code', template: 'honeymesh', nonce: 'n1' };
const PROVISION = '$aws/provisioning-templates/honeymesh/provision/json';
const CREATE = '$aws/certificates/create-from-csr/json';
const made = { certificateId: 'ab'.repeat(32), certificatePem: 'PEM', certificateOwnershipToken: 'token' };

/** IoT as far as a claim sees it; `answers` by topic. */
function broker(answers: Readonly<Record<string, { readonly to: 'accepted' | 'rejected'; readonly what: object }>>) {
  const asked: { readonly topic: string; readonly said: unknown }[] = [];
  const heard: string[] = [];
  let opened: TransportOptions | undefined;
  let stopped = 0;
  const connect: ConnectTransport = (given, { onConnected, onMessage }) => {
    opened = given;
    return {
      start: () => queueMicrotask(onConnected),
      subscribe: filters => Promise.resolve(void heard.push(...filters)),
      publish(topic, payload) {
        asked.push({ topic, said: JSON.parse(new TextDecoder().decode(payload)) });
        const answer = answers[topic];
        const to = `${topic}/${answer?.to}`;
        if (answer !== undefined && heard.includes(to)) queueMicrotask(() => onMessage(to, new TextEncoder().encode(JSON.stringify(answer.what))));
        return Promise.resolve();
      },
      stop: () => Promise.resolve(void stopped++),
    };
  };
  return { connect, asked, opened: () => opened, stopped: () => stopped };
}

test('a claim asks for a certificate by its request and hands over name, site, key id and code, and no key', async () => {
  const { connect, asked, opened, stopped } = broker({ [CREATE]: { to: 'accepted', what: made }, [PROVISION]: { to: 'accepted', what: { thingName: 'h1' } } });
  expect(await createClaim(options, connect).certify(order, 'CSR')).toEqual({ certificate: 'PEM', certificateId: made.certificateId });
  expect(asked).toEqual([
    { topic: CREATE, said: { certificateSigningRequest: 'CSR' } },
    { topic: PROVISION, said: { certificateOwnershipToken: 'token', parameters: { ThingName: 'h1', Site: 'home', Kid: order.kid, Code: 'secret-code' } } },
  ]);
  expect(opened()?.clientId).toBe(`${ALLOWED}n1`);
  expect(stopped()).toBe(1);
});

test('a refusal says what to look at, and the connection is closed', async () => {
  const rejected = { to: 'rejected', what: { statusCode: 401, errorCode: 'NotAuthorized', errorMessage: 'hook' } } as const;
  const { connect, stopped } = broker({ [CREATE]: { to: 'accepted', what: made }, [PROVISION]: rejected });
  await expect(createClaim(options, connect).certify(order, 'CSR')).rejects.toMatchObject({ code: 'HM_REFUSED', fix: expect.stringContaining('hub:code') });
  expect(stopped()).toBe(1);
});

test('an answer without a certificate is a refusal', async () => {
  const { connect } = broker({ [CREATE]: { to: 'accepted', what: { certificateId: '../../x', certificatePem: 'PEM', certificateOwnershipToken: 't' } } });
  await expect(createClaim(options, connect).certify(order, 'CSR')).rejects.toMatchObject({ code: 'HM_REFUSED' });
});
