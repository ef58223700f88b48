/** Whole enforcers on one network segment, certified by one registrar, and strangers who visit them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { BanRow, EventRow, StatusReport } from '#enforcer/control/operations.ts';
import type { PeerRow } from '#enforcer/mesh/port.ts';
import { issueNodeCertificate, issueRegistrarCertificate, NODE_LIFE_MS, REGISTRAR_LIFE_MS } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { createEnforcerHost, type EnforcerHost } from '#test/support/enforcer.ts';
import { CLUSTER, real, secretOf } from '#test/support/hm1.ts';
import { createPeers, OUR_PEER, type Peer } from '#test/support/mesh-peers.ts';
import { createLab, type Namespace } from '#test/support/namespaces.ts';

export const TRAP_PORT = 2323;
export const GROUP_KEY = Buffer.from(secretOf('group')).toString('base64');
/** Where the plain member lives. */
export const PLAIN = '10.80.0.90';
const STRANGERS = 40;

export interface MeshHostOptions {
  readonly name: string;
  readonly site: string;
  /** mesh.bind */
  readonly bind?: string;
  /** More of the configuration file. */
  readonly config?: string;
}

export interface SceneHost {
  readonly name: string;
  readonly address: string;
  readonly namespace: Namespace;
  readonly enforcer: EnforcerHost;
  status(): Promise<StatusReport>;
  peers(): Promise<readonly PeerRow[]>;
  banOf(source: string): Promise<BanRow | undefined>;
  events(kinds: string): Promise<readonly EventRow[]>;
}

export interface MeshScene {
  readonly hosts: readonly SceneHost[];
  /** An address outside that nobody has heard of yet. */
  stranger(): string;
  /** Connects from `source` to the trap of each of these hosts at once; which of them answered within half a second. */
  touch(source: string, hosts: readonly SceneHost[]): Promise<readonly boolean[]>;
  /** Says something to a port such as `53/udp`. */
  knock(source: string, host: SceneHost, port: string): Promise<void>;
  /** A member that speaks memberlist and no HM1, at an address of its own. */
  plainMember(name: string): Promise<Peer>;
  remove(): Promise<void>;
}

/** The hosts are `10.80.0.1`, `10.80.0.2` and so on, and are to be started; all join the first two. Their traps are asked for the ports of the mesh too. */
export async function createMeshScene(members: readonly MeshHostOptions[]): Promise<MeshScene> {
  const lab = createLab();
  const switchboard = lab.namespace('switch');
  const outside = lab.namespace('outside');
  const plain = lab.namespace('plain');
  const strangers = Array.from({ length: STRANGERS }, (_, at) => `10.80.0.${100 + at}`);
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-scene-'));
  const peers = createPeers();
  const enforcers: EnforcerHost[] = [];
  const notBefore = unixMs(Date.now() - DAY_MS);

  lab.ip(['link', 'add', 'br0', 'type', 'bridge'], switchboard);
  lab.ip(['link', 'set', 'br0', 'up'], switchboard);
  const plug = (namespace: Namespace, port: string, addresses: readonly string[]): void => {
    lab.link({ namespace, device: 'eth0', addresses: addresses.map(address => `${address}/24`) }, { namespace: switchboard, device: port, addresses: [] });
    lab.ip(['link', 'set', port, 'master', 'br0'], switchboard);
  };
  plug(outside, 'p-out', ['10.80.0.99', ...strangers]);
  plug(plain, 'p-plain', [PLAIN]);

  const hosts: SceneHost[] = [];
  for (const [at, { name, site, bind = '0.0.0.0:7946', config = '' }] of members.entries()) {
    const address = `10.80.0.${at + 1}`;
    const namespace = lab.namespace(name);
    plug(namespace, `p-${name}`, [address]);
    const enforcer = createEnforcerHost(
      namespace,
      `interfaces: [eth0]
log: { level: warn }
traps: { ports: [${TRAP_PORT}, 7946, 7947, "7946/udp"], patience: instant }
share: { never: [] }
mesh: { bind: "${bind}", join: [10.80.0.1, 10.80.0.2], key: ${GROUP_KEY}, signatures: preferred }
${config}`,
    );
    enforcers.push(enforcer);
    await certify(enforcer, name, site, notBefore);
    hosts.push({
      name,
      address,
      namespace,
      enforcer,
      status: () => enforcer.json(['status']),
      peers: () => enforcer.json(['peers', 'list']),
      banOf: async source => (await enforcer.json<BanRow[]>(['bans', 'list'])).find(({ target }) => target === `${source}/32`),
      events: kinds => enforcer.json(['events', 'list', '--kind', kinds, '--limit', '1000']),
    });
  }

  return {
    hosts,
    stranger() {
      const fresh = strangers.shift();
      if (fresh === undefined) throw new Error(`there are ${STRANGERS} strangers`);
      return fresh;
    },
    async touch(source, touched) {
      const { stdout } = await (source === PLAIN ? plain : outside).run([
        'python3',
        '-c',
        TOUCH,
        source,
        String(TRAP_PORT),
        ...touched.map(host => host.address),
      ]);
      return JSON.parse(stdout) as boolean[];
    },
    async knock(source, host, port) {
      await outside.run(['python3', '-c', KNOCK, source, host.address, ...port.split('/')]);
    },
    plainMember(name) {
      const script = join(folder, `peer-${name}`);
      writeFileSync(script, `#!/bin/sh\nexec nsenter --net=${plain.path} -- ${OUR_PEER} "$@"\n`, { mode: 0o755 });
      return peers.start(name, ['-bind', PLAIN, '-port', '7946', '-key', GROUP_KEY], script);
    },
    async remove() {
      await peers.stop();
      const removed = await Promise.allSettled(enforcers.map(enforcer => enforcer.remove()));
      lab.remove();
      rmSync(folder, { recursive: true, force: true });
      for (const one of removed) if (one.status === 'rejected') throw one.reason;
    },
  };
}

/** All SYNs leave before the first answer is looked at. */
const TOUCH = `
import json, select, socket, sys, time
source, port, targets = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
sockets = []
for target in targets:
    s = socket.socket(); s.bind((source, 0)); s.setblocking(False); s.connect_ex((target, port)); sockets.append(s)
opened, until = set(), time.monotonic() + 0.5
while len(opened) < len(sockets) and time.monotonic() < until:
    _, writable, _ = select.select([], [s for s in sockets if s not in opened], [], 0.05)
    opened |= {s for s in writable if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0}
print(json.dumps([s in opened for s in sockets]))`;

const KNOCK = `
import socket, sys
source, target, port, transport = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == 'udp' else socket.SOCK_STREAM); s.bind((source, 0)); s.settimeout(0.3)
try:
    s.connect((target, int(port))); s.sendall(b'hello'); s.recv(100)
except OSError: pass`;

async function certify({ paths }: EnforcerHost, nodeName: string, site: string, notBefore: UnixMs): Promise<void> {
  const state = createMeshState(join(paths.state, 'mesh'));
  const clusterId = CLUSTER;
  const [rootSecret, registrarSecret, edSecret, xSecret] = ['root', 'registrar', `${nodeName} ed`, `${nodeName} x`].map(secretOf) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const registrar = issueRegistrarCertificate(
    { clusterId, sites: ['home', 'lab'], edPublic: edPublicOf(registrarSecret), notBefore, notAfter: unixMs(notBefore + REGISTRAR_LIFE_MS) },
    rootSecret,
    real,
  );
  const dates = { notBefore: unixMs(notBefore + 1), notAfter: unixMs(notBefore + NODE_LIFE_MS) };
  const certificate = issueNodeCertificate(
    { clusterId, nodeName, site, edPublic: edPublicOf(edSecret), xPublic: xPublicOf(xSecret), ...dates },
    { kid: registrar.kid, secret: registrarSecret },
    real,
  );
  await state.keepIdentity({ nodeName, edSecret, xSecret });
  await state.keepTrust({
    clusterId,
    rootPublic: edPublicOf(rootSecret),
    certificate: certificate.bytes,
    registrars: [registrar.bytes],
    revocations: [],
    names: [],
  });
}
