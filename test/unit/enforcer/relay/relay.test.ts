import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readQuestion } from '@honeymesh/intel/hub-messages';
import { answerTopic, questionTopic } from '@honeymesh/intel/hub-topics';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { MeshTrust } from '#enforcer/mesh/port.ts';
import { issueNodeCertificate, issueRegistrarCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { createEd25519, edPublicOf, sha256, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import type { FromRelay } from '#enforcer/relay/port.ts';
import { type Relay, startRelay } from '#enforcer/relay/relay.ts';
import type { ConnectTransport, TransportDeps } from '#enforcer/relay/transport.ts';

const signatures = createEd25519();
const clusterId = new Uint8Array(16).fill(3);
const START = 1_800_000_000_000;
const secretOf = (name: string): Uint8Array => sha256(new TextEncoder().encode(name));
let folder: string;
let relay: Relay | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-relay-'));
  for (const name of ['c.pem', 'k.pem']) writeFileSync(join(folder, name), name);
  vi.useFakeTimers({ now: START });
});
afterEach(async () => {
  await relay?.stop();
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

function trustOf(nodeName: string): MeshTrust {
  const life = { notBefore: unixMs(START - DAY_MS), notAfter: unixMs(START + DAY_MS) };
  const [root, registrarSecret, edSecret] = ['root', 'registrar', nodeName].map(secretOf) as [Uint8Array, Uint8Array, Uint8Array];
  const registrar = issueRegistrarCertificate({ clusterId, sites: ['home'], edPublic: edPublicOf(registrarSecret), ...life }, root, signatures);
  const keys = { edPublic: edPublicOf(edSecret), xPublic: xPublicOf(edSecret) };
  const node = issueNodeCertificate({ clusterId, nodeName, site: 'home', ...keys, ...life }, { kid: registrar.kid, secret: registrarSecret }, signatures);
  return { clusterId, rootPublic: edPublicOf(root), certificate: node.bytes, registrars: [registrar.bytes], revocations: [], names: [] };
}

function started(first: MeshTrust | null) {
  const said: FromRelay[] = [];
  const published: { readonly topic: string; readonly payload: Uint8Array }[] = [];
  const subscribed: string[] = [];
  let trust = first;
  let wire: TransportDeps | undefined;
  const connect: ConnectTransport = (_, deps) => {
    wire = deps;
    return {
      start: () => {},
      subscribe: filters => Promise.resolve(void subscribed.push(...filters)),
      publish: (topic, payload) => Promise.resolve(void published.push({ topic, payload })),
      stop: () => Promise.resolve(),
    };
  };
  const files = { certificate: join(folder, 'c.pem'), key: join(folder, 'k.pem'), ca: null };
  relay = startRelay(
    { host: 'hub.example', port: 8883, thing: 'h1', ...files, signers: [], directory: join(folder, 'hub'), meshDirectory: join(folder, 'mesh') },
    { version: '1', mode: 'enforce', bans: 0, degraded: [] },
    {
      say: message => said.push(message),
      loadTransport: () => Promise.resolve(connect),
      loadTrust: () => Promise.resolve(trust),
      fetchObject: () => Promise.resolve(null),
      signatures,
      random: () => 0.5,
      now: () => unixMs(Date.now()),
    },
  );
  const complaints = () => {
    const open = new Map<string, string>();
    for (const one of said) {
      if (one.kind === 'complaint') open.set(one.key, one.fix);
      if (one.kind === 'recovered') open.delete(one.key);
    }
    return open;
  };
  return { said, published, subscribed, complaints, wire: () => wire, learn: (next: MeshTrust) => (trust = next) };
}

/** Timers and what they cause, files included. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await vi.waitFor(() => Promise.resolve());
}

test('a host without a mesh says what it needs, and begins by itself as soon as it is a member', async () => {
  const { complaints, wire, learn, published, subscribed } = started(null);
  await pass(1_000);
  expect(complaints().get('identity')).toContain('honeymesh mesh join');
  expect(wire()).toBeUndefined();
  learn(trustOf('h1'));
  await pass(20_000);
  vi.useRealTimers();
  await vi.waitFor(() => expect(wire()).toBeDefined());
  expect(complaints().has('identity')).toBe(false);
  wire()?.onConnected();
  await vi.waitFor(() => expect(published.map(({ topic }) => topic)).toContain(questionTopic('h1')));
  expect(subscribed).toContain(answerTopic('h1'));
  const question = readQuestion(published[0]?.payload ?? new Uint8Array());
  expect(question).toMatchObject({ ok: true, value: { ask: 'introduce', certificates: [expect.anything(), expect.anything()] } });
});

test('a thing of another name than the host has in the mesh is said', async () => {
  const { complaints } = started(trustOf('another'));
  await pass(1_000);
  vi.useRealTimers();
  await vi.waitFor(() => expect(complaints().get('name')).toContain('hub enrol'));
});

test('a hub that stays away is said after a minute, and not before', async () => {
  const { complaints, wire } = started(trustOf('h1'));
  await pass(1_000);
  await vi.waitFor(() => expect(wire()).toBeDefined());
  wire()?.onDisconnected('ECONNREFUSED');
  await pass(30_000);
  expect(complaints().has('down')).toBe(false);
  await pass(40_000);
  expect(complaints().get('down')).toContain('waits on the disk');
  wire()?.onConnected();
  await pass(100);
  expect(complaints().has('down')).toBe(false);
});
