/** The enforcer's own relay and enrolment against the deployed hub: what one host signs is heard at another one, and nothing is lost while the hub is gone. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { openEnvelope } from '@honeymesh/intel/envelope';
import { hexBytes } from '@honeymesh/intel/envelope-bytes';
import { unixMs } from '@honeymesh/intel/time';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readHubOrder } from '#enforcer/config/hub-order.ts';
import { loadConfig } from '#enforcer/config/load.ts';
import type { LedgerInput } from '#enforcer/ledger/decisions.ts';
import { createEd25519, edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { enrol } from '#enforcer/relay/enrolment/enrol.ts';
import { createCloud } from '#enforcer/relay/enrolment/operator.ts';
import { fetchObject } from '#enforcer/relay/objects.ts';
import type { FromRelay, RelayFigures } from '#enforcer/relay/port.ts';
import { type Relay, startRelay } from '#enforcer/relay/relay.ts';
import { connectAws } from '#enforcer/relay/transport.ts';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { adviceFor, createMesh, type MeshHost, type Site } from '#test/support/cloud/mesh-hosts.ts';
import { brokerOf, type Cloud, cloud } from '#test/support/cloud/provided.ts';

const provided = cloud();
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };

describe.skipIf(provided === null)("the enforcer's relay", () => {
  const here = (provided ?? {}) as Cloud;
  const environment = { ...process.env };
  let folder: string;
  let signer: string;
  let mesh: ReturnType<typeof createMesh>;
  const relays: Relay[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'honeymesh-relay-'));
    mesh = createMesh(here);
    const { PublicKey } = await new KMSClient(accessTo(here.ministack.endpoint)).send(new GetPublicKeyCommand({ KeyId: here.ministack.outputs.SigningKey }));
    signer = Buffer.from(PublicKey ?? []).toString('base64');
    Object.assign(process.env, CREDENTIALS, { AWS_ENDPOINT_URL_IOT: here.ministack.endpoint });
    writeFileSync(join(folder, 'ca.pem'), brokerOf(here).ca);
  });
  afterEach(async () => {
    for (const relay of relays.splice(0)) await relay.stop();
  });
  afterAll(() => {
    process.env = environment;
    rmSync(folder, { recursive: true });
  });

  async function member(name: string, site: Site): Promise<{ readonly host: MeshHost; readonly state: string; readonly config: string }> {
    const host = mesh.host(name, site);
    const state = join(folder, name);
    const trust = {
      clusterId: hexBytes(here.cluster),
      rootPublic: edPublicOf(hexBytes(here.rootSecret)),
      certificate: host.certificate.bytes,
      registrars: [mesh.registrar],
      revocations: [],
      names: [],
    };
    mkdirSync(state, { recursive: true });
    await createMeshState(join(state, 'mesh')).keepTrust(trust);
    const config = join(folder, `${name}.yaml`);
    writeFileSync(config, '# mine\nmode: observe # for now\n');
    return { host, state, config };
  }

  const enrolled = (of: { readonly state: string; readonly config: string }, rotate = false) => {
    const loaded = loadConfig({ path: of.config });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { host, port } = brokerOf(here);
    const options = {
      paths: { ...loaded.value.paths, state: of.state },
      configPath: of.config,
      before: loaded.value.config.hub ?? null,
      hub: here.ministack.outputs.HostPolicy?.replace(/-host$/, '') ?? 'honeymesh',
      endpoint: `${host}:${port}`,
      signers: [signer],
      ca: join(folder, 'ca.pem'),
      rotate,
      now: Date.now(),
    };
    return enrol(options, createCloud(undefined));
  };

  function started(of: { readonly state: string; readonly config: string }, port?: number) {
    const loaded = loadConfig({ path: of.config });
    const hub = loaded.ok ? loaded.value.config.hub : undefined;
    if (hub === undefined) throw new Error('there is no hub in the configuration');
    const inputs: LedgerInput[] = [];
    const said: FromRelay[] = [];
    const settings = {
      host: hub.endpoint.host,
      port: port ?? hub.endpoint.port,
      ...hub,
      ca: hub.ca ?? null,
      directory: join(of.state, 'hub'),
      meshDirectory: join(of.state, 'mesh'),
    };
    const state = createMeshState(join(of.state, 'mesh'));
    const relay = startRelay(
      settings,
      { version: '0.1.0', mode: 'enforce', bans: 0, degraded: [] },
      {
        say(message) {
          said.push(message);
          if (message.kind !== 'heard') return;
          inputs.push(...message.inputs);
          setImmediate(() => relay.took());
        },
        loadTransport: () => Promise.resolve(connectAws),
        loadTrust: () => state.loadTrust?.() ?? Promise.resolve(null),
        fetchObject,
        signatures: createEd25519(),
        random: () => 0.1,
        now: () => unixMs(Date.now()),
      },
    );
    relays.push(relay);
    const figures = (): RelayFigures | undefined => said.flatMap(one => (one.kind === 'figures' ? [one.figures] : [])).at(-1);
    return { relay, inputs, said, figures };
  }

  async function until(holds: () => boolean, what: string, withinMs = 20_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`it did not come to ${what}`);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }

  const ownOf = (bytes: Uint8Array) => {
    const opened = openEnvelope(bytes);
    if (!opened.ok) throw new Error(opened.why);
    return { epoch: opened.value.epoch, seq: opened.value.seq, bytes };
  };
  const targetsIn = (inputs: readonly LedgerInput[]) => inputs.flatMap(input => (input.kind === 'advice' ? [input.advice] : []));

  test('enrolment makes what is missing, keeps what is there, and writes the configuration without a comment lost', async () => {
    const carol = await member('relay-carol', 'home');
    const first = await enrolled(carol);
    expect(first).toMatchObject({ thing: 'relay-carol', newCertificate: true, retired: [] });
    const text = readFileSync(carol.config, 'utf8');
    expect(text.startsWith('# mine\nmode: observe # for now\n')).toBe(true);
    expect(statSync(first.order.key).mode & 0o777).toBe(0o600);
    expect(readHubOrder(first.order).thing).toBe('relay-carol');

    const again = await enrolled(carol);
    expect(again).toMatchObject({ certificateId: first.certificateId, newCertificate: false });
    expect(readFileSync(carol.config, 'utf8')).toBe(text);

    const second = await enrolled(carol, true);
    expect(second).toMatchObject({ newCertificate: true, retired: [] });
    const third = await enrolled(carol, true);
    expect(third.retired).toEqual([first.certificateId]);
    expect(() => statSync(first.order.key)).toThrow();
    expect(statSync(second.order.key).isFile()).toBe(true);
  });

  test("what one host signs reaches another host's ledger under its own certificate, and leaves the outbox by its receipt", async () => {
    const [alice, bob] = [await member('relay-alice', 'home'), await member('relay-bob', 'lab')];
    await enrolled(alice);
    await enrolled(bob);
    const [from, to] = [started(alice), started(bob)];
    await until(() => from.figures()?.state === 'introduced' && to.figures()?.state === 'introduced', 'two introductions');
    await until(() => to.figures()?.head !== null, 'a head', 10_000).catch(() => null); // the snapshot of a hub that said nothing yet
    const startedMs = performance.now();
    from.relay.own([ownOf(alice.host.sign({ advice: [adviceFor('198.18.7.7/32')] }))]);
    await until(() => targetsIn(to.inputs).some(({ target }) => target === '198.18.7.7/32'), 'advice at the other host').catch(error => {
      throw new Error(`${error.message}; ${JSON.stringify([...from.said, ...to.said].filter(one => one.kind !== 'figures').slice(-12))}`);
    });
    console.log(`cloud: own envelope to ledger input at another host, on MiniStack: ${Math.round(performance.now() - startedMs)} ms`);
    const [heard] = targetsIn(to.inputs).filter(({ target }) => target === '198.18.7.7/32');
    expect(heard).toMatchObject({ certified: true, site: 'home', path: 'hub', signer: alice.host.certificate.kid, tier: 'E2' });
    await until(() => from.figures()?.waiting === 0 && from.figures()?.receiptAt !== null, 'a receipt');
    expect(targetsIn(from.inputs).filter(({ signer: by }) => by === alice.host.certificate.kid)).toEqual([]);

    const warmMs = performance.now();
    const envelope = alice.host.sign({ advice: [adviceFor('198.18.7.8/32')] });
    from.relay.own([ownOf(envelope)]);
    await until(() => targetsIn(to.inputs).some(({ target }) => target === '198.18.7.8/32'), 'advice at the other host');
    console.log(`cloud: own envelope to ledger input at another host, warm, on MiniStack: ${Math.round(performance.now() - warmMs)} ms`);
    expect(targetsIn(to.inputs).filter(({ target }) => target === '198.18.7.8/32')).toHaveLength(1);
  });

  test('while the hub is gone nothing is lost: what was signed then is heard after it is back, though the relay was ended in between', async () => {
    const [dave, erin] = [await member('relay-dave', 'home'), await member('relay-erin', 'lab')];
    await enrolled(dave);
    await enrolled(erin);
    const to = started(erin);
    await until(() => to.figures()?.state === 'introduced', 'an introduction');
    const alone = started(dave, 1); // nobody listens there
    const targets = [1, 2, 3].map(one => `198.18.9.${one}/32`);
    for (const [at, target] of targets.entries())
      alone.relay.own([ownOf(dave.host.sign({ advice: [adviceFor(target)] }, { issuedAt: unixMs(Date.now() - 5_000 + at * 1_000) }))]);
    await until(() => alone.figures()?.waiting === 3, 'three that wait');
    expect(alone.figures()?.state).toBe('connecting');
    await alone.relay.stop();
    const back = started(dave);
    await until(() => targets.every(target => targetsIn(to.inputs).some(one => one.target === target)), 'all three at the other host', 40_000);
    await until(() => back.figures()?.waiting === 0 && back.figures()?.state === 'introduced', 'receipts for all');
  });
});
