import { describe, expect, test } from 'vitest';
import { bytesOf } from '#enforcer/traps/protocols/lines.ts';
import { createPersona } from '#enforcer/traps/protocols/persona.ts';
import { createProtocolTrap, detect, PROTOCOLS, protocolOf } from '#enforcer/traps/protocols/registry.ts';
import { contextOf, personaOf, talk } from '#test/support/trap-talk.ts';

const UNKNOWN_PORT = 31337;

describe('the registry', () => {
  test('each port has one protocol, and each protocol a name that events can carry', () => {
    const ports = PROTOCOLS.flatMap(protocol => protocol.ports);
    expect(ports.filter((port, at) => ports.indexOf(port) !== at)).toEqual([]);
    for (const {
      name,
      ports: [port = 0],
    } of PROTOCOLS) {
      expect(name).toMatch(/^[a-z0-9-]{1,32}$/);
      expect(createProtocolTrap(contextOf(port)).protocol).toBe(name);
      expect(protocolOf(port)?.name).toBe(name);
    }
  });

  test.each([
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'http'],
    ['GET /v1.24/containers/json HTTP/1.1\r\n', 'docker'],
    ['GET /_cat/indices HTTP/1.1\r\n', 'elasticsearch'],
    ['CONNECT example.com:443 HTTP/1.1\r\n', 'http-proxy'],
    ['OPTIONS rtsp://x/ RTSP/1.0\r\n', 'rtsp'],
    ['OPTIONS sip:nm SIP/2.0\r\n', 'sip'],
    ['SSH-2.0-Go\r\n', 'ssh'],
    ['EHLO x\r\n', 'smtp'],
    ['USER root\r\n', 'ftp'],
    ['*1\r\n$4\r\nPING\r\n', 'redis'],
    ['stats\r\n', 'memcached'],
    ['0032git-upload-pack /project.git\0host=x\0', 'git'],
    ['\x10\x10\x00\x04MQTT\x04\x02\x00\x1e\x00\x04nmap', 'mqtt'],
    ['CNXN\0\0\0\x01', 'adb'],
    ['\x05\x01\x00', 'socks'],
    ['\x04\x01\x00\x16\x7f\x00\x00\x01root\x00', 'socks'],
    ['\xff\xfc\x18', 'telnet'],
  ])('%j is the beginning of %s', (first, protocol) => {
    const found = detect(bytesOf(first));
    expect(found === 'maybe' ? found : found?.name).toBe(protocol);
  });

  test('a beginning that could be of several waits for more, nonsense does not', () => {
    expect(detect(bytesOf('GE'))).toBe('maybe');
    expect(detect(bytesOf('GET /'))).toBe('maybe');
    expect(detect(bytesOf('zz\0\n'))).toBeUndefined();
  });
});

describe('a port without a protocol of its own', () => {
  test('answers what is recognised, in one piece or in several', () => {
    const request = 'GET /robots.txt HTTP/1.0\r\n\r\n';
    for (const parts of [[request], ['GET /rob', 'ots.txt HTTP/1.0\r\n', '\r\n']]) {
      const { answer, machine, seen } = talk(createProtocolTrap, contextOf(UNKNOWN_PORT), parts);
      expect(machine.protocol).toBe('http');
      expect(answer).toContain('Disallow: /admin/');
      expect(seen).toMatchObject([{ kind: 'request', target: '/robots.txt' }]);
    }
  });

  test('speaks first to one that says nothing, the same each time', () => {
    const said = [1, 2].map(() => {
      const machine = createProtocolTrap(contextOf(UNKNOWN_PORT));
      const { wakeAtMs, send } = machine.open(0);
      expect(send).toBeUndefined();
      expect(wakeAtMs).toBeLessThan(1_000);
      const spoken = machine.expire(wakeAtMs as number);
      return [machine.protocol, Buffer.from(spoken.send ?? []).toString('latin1')];
    });
    expect(said[0]?.[1]).not.toBe('');
    expect(said[1]).toEqual(said[0]);
  });

  test('keeps what it cannot read, and is not held up by it', () => {
    const { seen, last, machine } = talk(createProtocolTrap, contextOf(UNKNOWN_PORT), ['\x01\x02\x03\n', 'more']);
    expect(seen).toMatchObject([
      { kind: 'payload', content: '\x01\x02\x03\n' },
      { kind: 'payload', content: 'more' },
    ]);
    expect(last.wakeAtMs).toBe(4_000);
    expect(machine.expire(4_000)).toMatchObject({ close: true, observations: [{ kind: 'deadline' }] });
  });
});

describe('a persona', () => {
  test('is the same for a seed, and another for another', () => {
    const plain = (byte: number) => JSON.stringify(personaOf(byte));
    expect(plain(7)).toBe(plain(7));
    expect(new Set(Array.from({ length: 64 }, (_, byte) => plain(byte))).size).toBe(64);
  });

  test('is of one system: what ships with RHEL is no Debian', () => {
    for (let byte = 0; byte < 64; byte++) {
      const { release, versions, software } = personaOf(byte);
      const vendors = [versions.ssh, versions.mariadb, versions.bind, versions.samba].map(text =>
        /Debian|Ubuntu|deb\d|ubuntu/i.exec(text)?.[0]?.toLowerCase().slice(0, 3),
      );
      if (release.family === 'rhel') expect(vendors).toEqual([undefined, undefined, undefined, undefined]);
      if (release.family === 'rhel') expect(software.ftp).toBe('vsftpd');
      if (release.family === 'debian') expect(new Set(vendors)).toEqual(new Set(['deb']));
    }
  });

  test('bears none of the defaults that honeypots are known by', () => {
    for (let byte = 0; byte < 64; byte++) {
      const persona = personaOf(byte);
      expect(persona.versions.ssh).not.toMatch(/OpenSSH_6\.0p1 Debian-4\+deb7u2|OpenSSH_5\.9p1|OpenSSH_7\.2p2 Ubuntu-4ubuntu2/); // cowrie, kippo, OpenCanary's sample
      expect(persona.hostName).not.toMatch(/^(?:svr04|opencanary.*|diskstation|dionaea)$/i);
      expect(persona.versions.vsftpd).not.toBe('2.3.4');
    }
  });

  test('its services were started before now, and stay started', () => {
    const { persona, acceptedAt } = contextOf(80);
    const started = persona.startedAt('redis', acceptedAt);
    expect(started).toBeLessThan(acceptedAt);
    expect(acceptedAt - started).toBeLessThan(48 * 86_400_000);
    expect(persona.startedAt('redis', started)).toBe(started);
  });

  test('draws hang on their label alone', () => {
    const persona = createPersona(new Uint8Array(32));
    expect(persona.bytes('a', 8)).toEqual(createPersona(new Uint8Array(32)).bytes('a', 8));
    expect(persona.bytes('a', 8)).not.toEqual(persona.bytes('b', 8));
  });
});
