import { describe, expect, test } from 'vitest';
import { bytesOf, fromHex, u16 } from '#enforcer/traps/protocols/bytes.ts';
import { type ClientHello, parseClientHello, readClientHello } from '#enforcer/traps/protocols/client-hello.ts';
import { hassh, hasshAlgorithms } from '#enforcer/traps/protocols/hassh.ts';
import { ja4, ja4Raw } from '#enforcer/traps/protocols/ja4.ts';
import { parseKexInit, readKexInit } from '#enforcer/traps/protocols/kexinit.ts';
import { OPENSSH_KEXINIT, PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';

/** The example of the JA4 specification (Chrome), in the order sent, GREASE included. */
const CHROME: ClientHello = {
  version: 0x0303,
  ciphers: [0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035],
  extensions: [0x2a2a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0xdada, 0x0015],
  supportedVersions: [0x6a6a, 0x0304, 0x0303],
  signatureAlgorithms: [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
  alpn: ['h2', 'http/1.1'],
  serverName: 'example.com',
};

describe('JA4', () => {
  test('is the specification’s value for the specification’s example', () => {
    expect(ja4(CHROME)).toBe('t13d1516h2_8daaf6152771_e5627efa2ab1');
    expect(ja4Raw(CHROME)).toBe(
      't13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_' +
        '0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601',
    );
  });

  test('reads a real client’s hello: the 31 ciphers of OpenSSL 3 are known as e8f1e7e78f70', () => {
    const hello = readClientHello(fromHex(PSQL_CLIENT_HELLO));
    expect(hello.ok && ja4(hello.value)).toBe('t13i310900_e8f1e7e78f70_1f22a2ca17c4');
  });

  test.each([
    [[], '00'],
    [['h2'], 'h2'],
    [['http/1.1'], 'h1'],
    [['x'], 'xx'],
    [['\xab'], 'ab'],
    [['\xab\xcd'], 'ad'],
    [['0\xab'], '3b'],
    [['01\xab\xcd'], '3d'],
    [['0\xab\xcd1'], '01'],
  ])('shows the ends of the first protocol of %j as %s', (alpn, shown) => {
    expect(ja4({ ...CHROME, alpn }).slice(8, 10)).toBe(shown);
  });

  test.each([
    [{ supportedVersions: [], version: 0x0303 }, 't12'],
    [{ supportedVersions: [], version: 0x0301 }, 't10'],
    [{ supportedVersions: [], version: 0x0300 }, 'ts3'],
    [{ supportedVersions: [0x0302, 0x0301], version: 0x0303 }, 't11'],
    [{ supportedVersions: [], version: 0x1234 }, 't00'],
  ])('names the version of %j %s', (changes, shown) => {
    expect(ja4({ ...CHROME, ...changes }).slice(0, 3)).toBe(shown);
  });

  test('says nothing where a list is empty', () => {
    expect(ja4({ ...CHROME, ciphers: [], extensions: [], signatureAlgorithms: [] })).toBe('t13i0000h2_000000000000_000000000000');
  });

  test('counts no further than 99', () => {
    expect(ja4({ ...CHROME, ciphers: Array.from({ length: 200 }, (_, at) => at) }).slice(4, 6)).toBe('99');
  });
});

describe('a ClientHello', () => {
  const whole = fromHex(PSQL_CLIENT_HELLO);

  test('that is cut anywhere is one that may still come', () => {
    for (let length = 0; length < whole.length; length++) expect(readClientHello(whole.subarray(0, length))).toEqual({ ok: false, why: 'truncated' });
  });

  test('is put together from many records', () => {
    const message = whole.subarray(5);
    const records: Uint8Array[] = [];
    for (let at = 0; at < message.length; at += 20) {
      const part = message.subarray(at, at + 20);
      records.push(bytesOf(22, 3, 1, u16(part.length), part));
    }
    expect(readClientHello(Buffer.concat(records))).toEqual(readClientHello(whole));
  });

  test('that is longer than any client’s is refused before it is read', () => {
    expect(readClientHello(bytesOf(22, 3, 1, u16(100), 1, 1, 0, 0, new Uint8Array(96)))).toEqual({ ok: false, why: 'too-long' });
    expect(readClientHello(bytesOf(22, 3, 1, u16(20_000)))).toEqual({ ok: false, why: 'too-long' });
  });

  test.each([['474554202f'], ['1603010000'], ['150301000201'], ['16030100020200'], ['1604010004']])('is not %s', bytes => {
    expect(readClientHello(fromHex(bytes))).toEqual({ ok: false, why: 'not-client-hello' });
  });

  test('of old has no extensions at all', () => {
    const message = bytesOf(1, [0, 0, 43], u16(0x0301), new Uint8Array(32), 0, u16(4), u16(0x000a), u16(0x0005), 1, 0);
    const hello = parseClientHello(message);
    expect(hello.ok && [hello.value.ciphers, hello.value.extensions]).toEqual([[0x000a, 0x0005], []]);
  });
});

describe('HASSH', () => {
  test('is the MD5 of the client’s own lists', () => {
    const kexInit = readKexInit(fromHex(OPENSSH_KEXINIT));
    expect(kexInit.ok && hassh(kexInit.value)).toBe('472b5de333ad665af5cbf10ff892c4df');
    expect(kexInit.ok && hasshAlgorithms(kexInit.value).split(';').length).toBe(4);
  });

  test('waits for the whole packet', () => {
    const packet = fromHex(OPENSSH_KEXINIT);
    for (let length = 0; length < packet.length - 4; length += 7) expect(readKexInit(packet.subarray(0, length))).toEqual({ ok: false, why: 'truncated' });
  });

  test('refuses lists longer than any client’s, and what is no KEXINIT', () => {
    expect(parseKexInit(bytesOf(20, new Uint8Array(16), [0, 0, 0x20, 0]))).toEqual({ ok: false, why: 'too-long' });
    expect(parseKexInit(Uint8Array.of(21))).toEqual({ ok: false, why: 'not-kexinit' });
    expect(readKexInit(fromHex('00000001 04 14'))).toEqual({ ok: false, why: 'not-kexinit' });
  });
});
