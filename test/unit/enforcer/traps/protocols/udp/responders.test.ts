import { describe, expect, test } from 'vitest';
import { bytesOf, fromHex, hex, u16 } from '#enforcer/traps/protocols/bytes.ts';
import { respondToDatagram } from '#enforcer/traps/protocols/udp/registry.ts';
import type { DatagramContext } from '#enforcer/traps/protocols/udp/responder.ts';
import { sip } from '#enforcer/traps/protocols/udp/sip.ts';
import { BOOKWORM, datagramContext, NOON, personaWith } from '#test/support/binary-traps.ts';

const ask = (port: number, datagram: string | Uint8Array, changes: Partial<DatagramContext> = {}) => {
  const bytes = typeof datagram === 'string' ? fromHex(datagram) : datagram;
  const { reply, observations, protocol } = respondToDatagram(bytes, datagramContext({ port, ...changes }));
  return {
    replyHex: reply === undefined ? undefined : hex(reply),
    text: reply === undefined ? undefined : Buffer.from(reply).toString('latin1'),
    observations,
    protocol,
  };
};

describe('dns', () => {
  /** nmap's DNSVersionBindReq and DNSStatusRequest. */
  const VERSION_BIND = '0006010000010000000000000776657273696f6e0462696e640000100003';
  const STATUS = '000010000000000000000000';
  const query = (name: string, type = 1, id = 0x1234): Uint8Array =>
    bytesOf(u16(id), u16(0x0100), u16(1), u16(0), u16(0), u16(0), ...name.split('.').map(label => bytesOf(label.length, label)), 0, u16(type), u16(1));

  test('recursion is refused, with the question back', () => {
    const { replyHex, observations } = ask(53, query('www.example.com'));
    expect(replyHex).toBe(`1234810500010000${'00000000'}${hex(query('www.example.com')).slice(24)}`);
    expect(observations).toEqual([
      {
        kind: 'request',
        method: 'query',
        target: 'www.example.com',
        headers: [
          ['type', 'A'],
          ['class', 'IN'],
        ],
      },
    ]);
  });

  test('a name of its own zone that is not there does not exist', () => {
    expect(ask(53, query(`nope.${BOOKWORM.domain}`)).replyHex?.slice(4, 8)).toBe('8503');
  });

  test('the version is told only if it fits', () => {
    expect(ask(53, VERSION_BIND).replyHex).toBe(`000681050001000000000000${VERSION_BIND.slice(24)}`);
    const padded = bytesOf(fromHex(VERSION_BIND), new Uint8Array(60));
    expect(ask(53, padded).text).toContain(BOOKWORM.versions.bind);
  });

  test('an operation that is none here is not implemented, an update refused', () => {
    expect(ask(53, STATUS).replyHex).toBe('000090040000000000000000');
    expect(ask(53, '000128000001000000000000').replyHex).toBe('0001a8050000000000000000');
  });

  test('a query with EDNS has a reply with EDNS', () => {
    const edns = bytesOf(
      query('x.org').map((byte, at) => (at === 11 ? 1 : byte)),
      fromHex('00 0029 04d0 00000000 000c 000a0008 0102030405060708'),
    );
    expect(ask(53, edns).replyHex).toMatch(/0000000001.*00002904d0000000000000$/);
  });

  test('a reply is never answered, a broken question is', () => {
    expect(
      ask(
        53,
        query('x.org').map((byte, at) => (at === 2 ? 0x81 : byte)),
      ).replyHex,
    ).toBeUndefined();
    expect(ask(53, '0001 0100 0001 0000 0000 0000 c00c').replyHex).toBe('000181010000000000000000');
    expect(ask(53, '0001').replyHex).toBeUndefined();
  });
});

describe('ntp', () => {
  /** nmap's NTPRequest; ntpdate's is the same with version 4 and zeros before the time. */
  const REQUEST = 'e30004fa000100000001000000000000000000000000000000000000000000000000000000000000c54f234b71b152f3';

  test('a client is told the time, by its own transmit time', () => {
    const { replyHex = '' } = ask(123, REQUEST);
    expect(replyHex.slice(0, 4)).toMatch(/^240[23]$/);
    expect(replyHex.slice(48, 64)).toBe('c54f234b71b152f3');
    const seconds = Number.parseInt(replyHex.slice(80, 88), 16) - 2_208_988_800;
    expect(seconds).toBe(NOON / 1000);
    expect(BigInt(`0x${replyHex.slice(80)}`) > BigInt(`0x${replyHex.slice(64, 80)}`)).toBe(true);
  });

  test.each([
    ['monlist', '1700032a00000000', 'monlist'],
    ['monlist of the old implementation', '1700021400000000', 'monlist'],
    ['readvar', '160200010000000000000000', 'control-2'],
    ['a symmetric association', 'd9000afa000000000001040000000000000000000000000000000000000000000000000000000000c6f15edb78000000', 'symmetric-active'],
  ])('%s is seen and not answered', (_, datagram, method) => {
    expect(ask(123, datagram)).toMatchObject({ replyHex: undefined, observations: [{ kind: 'request', method }] });
  });

  test('a server’s packet is never answered', () => {
    expect(ask(123, REQUEST.replace(/^e3/, 'e4')).replyHex).toBeUndefined();
  });
});

describe('snmp', () => {
  /** nmap's SNMPv1public: sysName, with lengths of three bytes, so that a short name fits. */
  const NMAP_SYSNAME = '3082002f020100040670 75626c6963a0820020 02044c33a756020100020100 308200103082000c 06082b06010201010500 0500'.replaceAll(' ', '');
  /** net-snmp's snmpget -v2c -c public sysDescr.0, and snmpset. */
  const GET_DESCR = '302902010104067075626c6963a01c02041a2b3c4d020100020100300e300c06082b060102010101000500';
  const SHORT_NAME = personaWith(({ hostName }) => hostName.length <= 5);

  test('a name that fits is told', () => {
    const { text = '', observations } = ask(161, NMAP_SYSNAME, { persona: SHORT_NAME });
    expect(text).toContain(SHORT_NAME.hostName);
    expect(observations).toEqual([
      { kind: 'credentials', user: '', secret: 'public' },
      { kind: 'request', method: 'get', target: '1.3.6.1.2.1.1.5.0', headers: [['version', '1']] },
    ]);
  });

  test('a description that does not fit is too big', () => {
    expect(ask(161, GET_DESCR).replyHex).toBe('301b02010104067075626c6963a20e02041a2b3c4d0201010201003000');
    const { replyHex = '' } = ask(161, bytesOf(fromHex(GET_DESCR), new Uint8Array(200)));
    expect(Buffer.from(replyHex, 'hex').toString('latin1')).toContain(`Linux ${BOOKWORM.hostName} ${BOOKWORM.release.kernel}`);
  });

  test('the next of the system group is its first, after its end comes the end of the view', () => {
    const padded = (datagram: string): Uint8Array => bytesOf(fromHex(datagram), new Uint8Array(300));
    expect(ask(161, padded(GET_DESCR.replace('a01c', 'a11c').replace('2b06010201010100', '2b06010201010000'))).text).toContain('Linux ');
    expect(ask(161, padded(GET_DESCR.replace('a01c', 'a11c').replace('2b06010201010100', '2b06010201010600'))).replyHex).toMatch(/2b060102010106008200$/);
    expect(ask(161, padded(GET_DESCR.replace('2b06010201010100', '2b06010201010900'))).replyHex).toMatch(/2b060102010109008000$/);
  });

  test('what is not there has no name in version 1', () => {
    expect(ask(161, GET_DESCR.replace('020101', '020100').replace('2b06010201010100', '2b06010201010900')).replyHex).toContain('020102020101'); // noSuchName, the first
  });

  test('a set is denied, another community hears nothing and is seen', () => {
    expect(ask(161, GET_DESCR.replace('a01c', 'a31c')).replyHex).toContain('020106020101');
    expect(ask(161, GET_DESCR.replace('7075626c6963', '736563726574'))).toMatchObject({
      replyHex: undefined,
      observations: [{ kind: 'credentials', user: '', secret: 'secret' }, {}],
    });
  });

  test('version 3, a reply and noise are not answered', () => {
    const discovery = '303a020103300f02024a69020300ffe3040104020103041030 0e0400020100020100040004000400301204000400a00c020237f00201000201003000'.replaceAll(
      ' ',
      '',
    );
    expect(ask(161, discovery)).toMatchObject({ replyHex: undefined, observations: [{ method: 'discovery' }] });
    expect(ask(161, GET_DESCR.replace('a01c', 'a21c'))).toMatchObject({ replyHex: undefined });
    expect(ask(161, 'ffffffff')).toMatchObject({ replyHex: undefined, observations: [{ kind: 'malformed' }] });
  });
});

describe('tftp', () => {
  test.each([
    ['a read', '000172377466 74702e7478740 06f6374657400', '00050001', 'File not found', { method: 'read', target: 'r7tftp.txt' }],
    [
      'a write',
      `0002${Buffer.from('../../etc/passwd\0octet\0').toString('hex')}`,
      '00050002',
      'Access denied',
      { method: 'write', target: '../../etc/passwd' },
    ],
  ])('%s is refused', (_, datagram, head, text, seen) => {
    const { replyHex, observations } = ask(69, datagram.replaceAll(' ', ''));
    expect(replyHex).toBe(`${head}${Buffer.from(`${text}\0`).toString('hex')}`);
    expect(observations).toMatchObject([{ kind: 'request', ...seen }]);
  });

  test('an operation that is none is illegal, in as many letters as the question was long', () => {
    expect(ask(69, '000010000000000000000000').text).toBe('\0\x05\0\x04Illegal\0');
  });

  test('data, acknowledgements and errors of no transfer are not answered', () => {
    for (const datagram of ['0003000141424344454647484950', '00040001', '0005000161626364656667686900']) expect(ask(69, datagram).replyHex).toBeUndefined();
  });
});

describe('ssdp', () => {
  const search = (target: string, more = ''): Uint8Array =>
    bytesOf(`M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\nMan: "ssdp:discover"\r\nMX: 1\r\nST: ${target}\r\n${more}\r\n`);

  test('the usual search gets the least that finds the device', () => {
    const { text, observations } = ask(1900, search('ssdp:all'));
    expect(text).toBe('HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://203.0.113.5:8200/rootDesc.xml\r\n\r\n');
    expect(observations).toMatchObject([{ kind: 'request', method: 'search', target: 'ssdp:all' }]);
    expect(ask(1900, bytesOf('M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n')).replyHex).toBeUndefined();
  });

  test('a long one gets one', () => {
    expect(ask(1900, search('upnp:rootdevice', `USER-AGENT: ${'x'.repeat(300)}\r\n`)).text).toMatch(
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*ST: upnp:rootdevice\r\n[\s\S]*LOCATION: http:\/\/203\.0\.113\.5:8200\/rootDesc\.xml\r\n/,
    );
  });

  test('a search for what it is not, a notification and a reply get none', () => {
    for (const datagram of [
      search('urn:x', `X: ${'x'.repeat(400)}\r\n`),
      bytesOf(`NOTIFY * HTTP/1.1\r\n\r\n${'x'.repeat(400)}`),
      bytesOf(`HTTP/1.1 200 OK\r\n${'x'.repeat(400)}`),
    ]) {
      expect(ask(1900, datagram).replyHex).toBeUndefined();
    }
  });
});

describe('netbios', () => {
  const STATUS = `80f0001000010000000000002043 4b${'41'.repeat(30)}0000210001`.replaceAll(' ', '');

  test('a node status is longer than the usual question, which gets the beginning of one', () => {
    const { replyHex, observations } = ask(137, STATUS);
    expect(replyHex).toBe(STATUS.replace('80f000100001000000000000', '80f086000000000100000000'));
    expect(observations).toMatchObject([{ kind: 'request', method: 'node-status', target: '*' }]);
  });

  test('as many names as fit are told', () => {
    const names = (room: number): number => {
      const { replyHex } = ask(137, bytesOf(fromHex(STATUS), new Uint8Array(room)));
      return replyHex === undefined || replyHex.length === STATUS.length ? 0 : Number.parseInt(replyHex.slice(2 * 56, 2 * 57), 16);
    };
    expect([names(0), names(70), names(71), names(90), names(400)]).toEqual([0, 0, 1, 2, 5]);
  });

  test('a reply and noise get none', () => {
    expect(ask(137, STATUS.replace('80f00010', '80f08400')).replyHex).toBeUndefined();
    expect(ask(137, 'ff'.repeat(60)).replyHex).toBeUndefined();
  });
});

describe('sip', () => {
  /** nmap's SIPOptions over UDP. */
  const OPTIONS =
    'OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo;rport\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\nContact: <sip:nm@nm>\r\nAccept: application/sdp\r\n\r\n';
  const register = (more: string): string =>
    `REGISTER sip:203.0.113.5 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5061;branch=z9hG4bK-1;rport\r\nContent-Length: 0\r\nFrom: "100" <sip:100@203.0.113.5>;tag=aa\r\nAccept: application/sdp\r\nUser-Agent: friendly-scanner\r\nTo: "100" <sip:100@203.0.113.5>\r\nContact: sip:100@198.51.100.7:5061\r\nCSeq: 1 REGISTER\r\nCall-ID: 12345\r\nMax-Forwards: 70\r\n${more}\r\n`;

  test('options name the server, and the reply fits', () => {
    const { text = '', observations } = ask(5060, bytesOf(OPTIONS));
    expect(text).toMatch(
      /^SIP\/2\.0 200 OK\r\nVia: SIP\/2\.0\/UDP nm;branch=foo;received=198\.51\.100\.7;rport=40000\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>;tag=as01020304\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nServer: Asterisk PBX 20\.9\.2\r\n/,
    );
    expect(text.endsWith('\r\n\r\n')).toBe(true);
    expect(text.length).toBeLessThanOrEqual(OPTIONS.length);
    expect(observations).toMatchObject([{ kind: 'request', method: 'OPTIONS', target: 'sip:nm' }]);
  });

  test('a registration is challenged, one with a digest forbidden and seen', () => {
    expect(ask(5060, bytesOf(register(''))).text).toMatch(
      /^SIP\/2\.0 401 Unauthorized\r\n[\s\S]*WWW-Authenticate: Digest algorithm=MD5, realm="asterisk", nonce="05060708"\r\n/,
    );
    const { text, observations } = ask(
      5060,
      bytesOf(
        register(
          'Authorization: Digest username="100",realm="asterisk",nonce="05060708",uri="sip:203.0.113.5",response="0123456789abcdef0123456789abcdef",algorithm=MD5\r\n',
        ),
      ),
    );
    expect(text).toMatch(/^SIP\/2\.0 403 Forbidden\r\n/);
    expect(observations[1]).toEqual({
      kind: 'credentials',
      user: '100',
      secret: 'asterisk*05060708*sip:203.0.113.5*0123456789abcdef0123456789abcdef*REGISTER',
      scheme: 'sip-digest',
    });
  });

  test('a challenge that would be longer than the request is left out', () => {
    const short = bytesOf('REGISTER sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;branch=b\r\nf:<sip:a@a>;tag=1\r\nt:<sip:a@a>\r\ni:1\r\nCSeq:1 REGISTER\r\n\r\n');
    expect(sip.respond(short, datagramContext({ port: 5060 })).reply).toBeUndefined();
  });

  test('an acknowledgement, a response and a request without its headers get no reply', () => {
    for (const text of [OPTIONS.replace('OPTIONS', 'ACK'), `SIP/2.0 200 OK\r\n${'x'.repeat(300)}`, `OPTIONS sip:nm SIP/2.0\r\n\r\n${'x'.repeat(300)}`])
      expect(ask(5060, bytesOf(text)).replyHex).toBeUndefined();
  });
});

describe('on a port of no protocol', () => {
  test.each([
    ['dns', '0006010000010000000000000776657273696f6e0462696e640000100003'],
    ['ntp', 'e30004fa000100000001000000000000000000000000000000000000000000000000000000000000c54f234b71b152f3'],
    ['snmp', '302902010104067075626c6963a01c02041a2b3c4d020100020100300e300c06082b060102010101000500'],
    ['tftp', '000172377466 74702e747874006f6374657400'.replaceAll(' ', '')],
    ['sip', hex(bytesOf('OPTIONS sip:nm SIP/2.0\r\n\r\n'))],
    ['ssdp', hex(bytesOf('M-SEARCH * HTTP/1.1\r\n\r\n'))],
    ['generic-udp', '0d0a0d0a'],
  ])('%s is recognised by its question', (protocol, datagram) => {
    expect(ask(4444, datagram).protocol).toBe(protocol);
  });

  test('what nothing recognises is kept, its beginning, and not answered', () => {
    expect(ask(4444, new Uint8Array(3000))).toMatchObject({ replyHex: undefined, observations: [{ kind: 'payload', name: 'datagram', bytes: 3000 }] });
  });
});
