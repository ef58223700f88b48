/** What scanners make of the traps of a whole enforcer: each service is what it is meant to be, all of one system; and who scans where bans are on is banned. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Persona } from '#enforcer/traps/protocols/persona.ts';
import { eventually } from '#test/support/enforcer.ts';
import { seedOf, seedWith } from '#test/support/trap-personas.ts';
import { HOST, startTrapScene, type TrapScene } from '#test/support/trap-scene.ts';

const nightly = process.env.HONEYMESH_NIGHTLY === '1';

/** What nmap may call each of them. */
const TCP: ReadonlyMap<number, RegExp> = new Map([
  [21, /^ftp /],
  [22, /^ssh OpenSSH/],
  [23, /^telnet Linux/],
  [25, /^smtp (?:Postfix|Exim)/],
  [80, /^http (?:nginx|Apache httpd)/],
  [110, /^pop3 Dovecot/],
  [143, /^imap Dovecot/],
  [389, /^ldap OpenLDAP/],
  [443, /^ssl\/http (?:nginx|Apache httpd)/],
  [445, /^netbios-ssn Samba/],
  [554, /^rtsp /],
  [873, /^rsync /],
  [993, /^ssl\/imap Dovecot/],
  [1080, /^socks5 /],
  [1433, /^ms-sql-s Microsoft SQL Server/],
  [1883, /^mosquitto /],
  [2375, /^docker Docker/],
  [3128, /^http-proxy Squid/],
  [3306, /^mysql (?:MySQL|MariaDB)/],
  [3389, /^ms-wbt-server xrdp/],
  [5060, /^sip Asterisk/],
  [5432, /^postgresql PostgreSQL/],
  [5900, /^vnc VNC/],
  [6379, /^redis Redis/],
  [8080, /^http Apache Tomcat/],
  [9200, /^http Elasticsearch/],
  [10_250, /^ssl\/http Golang/],
  [11_211, /^memcached Memcached/],
  [27_017, /^mongodb MongoDB/],
]);
const UDP: ReadonlyMap<number, RegExp> = new Map([
  [53, /^domain /],
  [69, /^tftp/],
  [123, /^ntp NTP/],
  [137, /^netbios-ns/],
  [161, /^snmp SNMPv1/],
  [5060, /^sip/],
]);
/** No service of these says so little that nmap takes its time over it; the rest is nightly. */
const SLOW = nightly ? [5555, 6443, 8001, 9418] : [];

const scenes: TrapScene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.remove();
});

interface Scanned {
  readonly persona: Persona;
  readonly text: string;
  readonly seconds: number;
}

async function scanned(seed: Buffer): Promise<Scanned> {
  const scene = await startTrapScene('mode: observe\ntraps: { ports: all }\n', seed);
  scenes.push(scene);
  const ports = `T:${[...TCP.keys(), ...SLOW].join(',')},U:${[...UDP.keys()].join(',')}`;
  const startedMs = performance.now();
  const { stdout } = await scene.visit(scene.stranger(), ['nmap', '-n', '-Pn', '-sS', '-sU', '-sV', '-p', ports, HOST], { timeoutMs: 80_000 });
  return { persona: scene.persona, text: stdout, seconds: (performance.now() - startedMs) / 1_000 };
}

const named = ({ text }: Scanned, over: 'tcp' | 'udp', services: ReadonlyMap<number, RegExp>): readonly number[] =>
  [...text.matchAll(new RegExp(`^(\\d+)/${over} +open +(.*)$`, 'gm'))]
    .filter(([, port, service = '']) => services.get(Number(port))?.test(service.replace(/ +/g, ' ')) === true)
    .map(([, port]) => Number(port));

function expectOneSystem(scan: Scanned): void {
  const { text, persona } = scan;
  expect(named(scan, 'tcp', TCP), text).toEqual([...TCP.keys()]);
  expect(named(scan, 'udp', UDP), text).toEqual([...UDP.keys()]);
  expect(scan.seconds, text).toBeLessThan(60);
  const [, info = ''] = /^Service Info: (.*)$/m.exec(text) ?? [];
  const told = new Map(
    [...info.matchAll(/(Hosts?|OSs?|Devices?|CPE): +([^;]+)/g)].map(([, what = '', values = '']) => [what.replace(/s$/, ''), values.split(', ')]),
  );
  for (const os of told.get('OS') ?? []) expect(['Linux', 'linux', 'Unix'], info).toContain(os.trim());
  for (const host of told.get('Host') ?? []) expect([persona.hostName, persona.fullName], info).toContain(host.trim());
  expect(told.get('Device') ?? ['PBX'], info).toEqual(['PBX']); // what any Linux with Asterisk is to nmap
  const other = ['Ubuntu', 'Debian', 'Rocky Linux'].filter(vendor => vendor !== persona.release.vendor);
  for (const vendor of other) expect(text).not.toMatch(new RegExp(`\\b${vendor}\\b`));
}

const family = (name: Persona['release']['family']): Buffer => seedWith(({ release }) => release.family === name);

describe('nmap -sV', () => {
  test('names all services of hosts of each family, in less than a minute, and all of one system', async () => {
    const scans = await Promise.all([family('debian'), family('ubuntu'), family('rhel')].map(scanned));
    for (const scan of scans) expectOneSystem(scan);
  });

  if (nightly)
    test('and of any host', async () => {
      for (let at = 0; at < 16; at++) {
        expectOneSystem(await scanned(seedOf(Math.floor(Math.random() * 1e9))));
        await scenes.pop()?.remove();
      }
    });
});

test('where bans are on, who scans is heard at two ports and banned in full at the third', async () => {
  const scene = await startTrapScene('mode: enforce\ntraps: { ports: all }\n', seedOf(1));
  scenes.push(scene);
  const source = scene.stranger();
  const over = new AbortController();
  const scan = scene.visit(source, ['nmap', '-n', '-Pn', '-sT', '-sV', '-p', [...TCP.keys()].join(','), HOST], { signal: over.signal });
  await eventually('it is banned in full', async () => (await scene.banOf(source))?.confined === false);
  over.abort();
  await scan;
  const ban = await scene.banOf(source);
  expect(ban).toMatchObject({ reasons: expect.arrayContaining(['trap-touch']), enforced: true });
  expect((await scene.events(source)).some(({ kind }) => kind === 'ban')).toBe(true);
  const again = await scene.visit(source, ['nmap', '-n', '-Pn', '-sT', '--max-retries', '0', '-p', '22,80,443', HOST]);
  expect(again.stdout).not.toMatch(/ open /);
});
