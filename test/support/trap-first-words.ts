/** First words of protocols whose clients are rare or large, as such clients send them, and what part of the answer shows that they were understood. */
import { HOST } from '#test/support/trap-scene.ts';

export interface FirstWords {
  readonly name: string;
  readonly over: 'tcp' | 'udp';
  readonly port: number;
  readonly says: string | Buffer;
  /** One character a byte. */
  readonly hears: string;
}

const OPTIONS = (over: string): string =>
  `OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/${over} nm;branch=foo;rport\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\nContact: <sip:nm@nm>\r\nAccept: application/sdp\r\n\r\n`;

/** OP_MSG with {hello: 1, $db: "admin"}, as every driver begins. */
const MONGO_HELLO = Buffer.from('340000000100000000000000dd07000000000000001f0000001068656c6c6f000100000002246462000600000061646d696e0000', 'hex');

export const FIRST_WORDS: readonly FirstWords[] = [
  // Refuses the options that telnetd asks for.
  { name: 'telnet', over: 'tcp', port: 23, says: "\xff\xfc\x18\xff\xfc \xff\xfc#\xff\xfc'", hears: 'login: ' },
  { name: 'rtsp', over: 'tcp', port: 554, says: 'OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n', hears: 'RTSP/1.0 200 OK' },
  { name: 'rsync', over: 'tcp', port: 873, says: '@RSYNCD: 31.0\n', hears: '@RSYNCD: 31.0' },
  { name: 'socks5', over: 'tcp', port: 1080, says: '\x05\x01\x02', hears: '\x05\x02' },
  {
    name: 'mssql',
    over: 'tcp',
    port: 1433,
    says: Buffer.from('1201003400000000000015000601001b000102001c000c0300280004ff080001550000004d5353514c53657276657200480f0000', 'hex'),
    hears: '\x04\x01',
  },
  { name: 'rdp', over: 'tcp', port: 3389, says: Buffer.from('030000130ee000000000000100080003000000', 'hex'), hears: '\x03\x00\x00\x13\x0e\xd0' },
  { name: 'sip', over: 'tcp', port: 5060, says: OPTIONS('TCP'), hears: 'SIP/2.0 200 OK' },
  {
    name: 'adb',
    over: 'tcp',
    port: 5555,
    says: Buffer.from('434e584e000000010010000007000000320200 00bcb1a7b1686f73743a3a00'.replace(' ', ''), 'hex'),
    hears: 'CNXN',
  },
  { name: 'vnc', over: 'tcp', port: 5900, says: 'RFB 003.008\n', hears: 'RFB 003.008\n' },
  { name: 'git', over: 'tcp', port: 9418, says: '002agit-upload-pack /x.git\0host=192.0.2.1\0', hears: 'ERR access denied' },
  { name: 'memcached', over: 'tcp', port: 11_211, says: 'version\r\n', hears: 'VERSION 1.' },
  { name: 'mongodb', over: 'tcp', port: 27_017, says: MONGO_HELLO, hears: 'maxWireVersion' },
  {
    name: 'dns',
    over: 'udp',
    port: 53,
    says: Buffer.from('000601000001000000000000077665 7273696f6e0462696e640000100003'.replace(' ', ''), 'hex'),
    hears: 'version\x04bind',
  },
  { name: 'tftp', over: 'udp', port: 69, says: '\x00\x01startup-config\0octet\0', hears: '\x00\x05' },
  { name: 'ntp', over: 'udp', port: 123, says: Buffer.concat([Buffer.from([0x1b]), Buffer.alloc(47)]), hears: '\x1c' },
  { name: 'netbios', over: 'udp', port: 137, says: Buffer.from(`80f00010000100000000000020434b${'41'.repeat(30)}0000210001`, 'hex'), hears: 'CKAAAA' },
  {
    name: 'ssdp',
    over: 'udp',
    port: 1900,
    says: 'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n',
    hears: `LOCATION: http://${HOST}:8200/`,
  },
  { name: 'sip over udp', over: 'udp', port: 5060, says: OPTIONS('UDP'), hears: 'SIP/2.0 200 OK' },
];

/** A Python program that says each of them, and prints a line for each: its name, or its name and what came instead. */
export function saying(words: readonly FirstWords[]): string {
  const asData = words.map(({ name, over, port, says, hears }) => [
    name,
    over,
    port,
    Buffer.from(says as string, 'latin1').toString('hex'),
    Buffer.from(hears, 'latin1').toString('hex'),
  ]);
  return `
import json, socket, time
for name, over, port, says, hears in json.loads('''${JSON.stringify(asData)}'''):
    c = socket.socket(socket.AF_INET, socket.SOCK_STREAM if over == 'tcp' else socket.SOCK_DGRAM)
    c.settimeout(2); heard = b''; end = time.time() + 2
    try:
        c.connect(('${HOST}', port))
        if says: c.sendall(bytes.fromhex(says))
        while bytes.fromhex(hears) not in heard and time.time() < end:
            more = c.recv(4096)
            if not more: break
            heard += more
    except OSError as error: heard += repr(error).encode()
    print(name if bytes.fromhex(hears) in heard else f'{name}: {heard!r}')
    c.close()`;
}
