import { describe, expect, test } from 'vitest';
import { type BsonDocument, parseBson, writeBson } from '#enforcer/traps/protocols/bson.ts';
import { bytesOf, fromHex, u32le } from '#enforcer/traps/protocols/bytes.ts';
import type { Outcome } from '#enforcer/traps/protocols/machine.ts';
import { mongodb } from '#enforcer/traps/protocols/mongodb.ts';
import { converse, sentText } from '#test/support/binary-traps.ts';

/** PyMongo 4: listDatabases, saslStart, saslContinue, all OP_MSG. */
const LIST_DATABASES =
  '6b0000007348336600000000dd070000000000000056000000106c6973744461746162617365730001000000086e616d654f6e6c790001036c736964001e00000005696400100000000481' +
  'd3509c68434092867cf7b20cd040cf0002246462000600000061646d696e0000';
const SASL_START =
  'cf000000ec58556200000000dd0700000000000000ba000000107361736c53746172740001000000026d656368616e69736d000c000000534352414d2d5348412d3100057061796c6f6164' +
  '0039000000006e2c2c6e3d61646d696e2c723d513862704d75534345615832324c7245646c2b75596d5272463245493479626f643039636a5233394a4d4d3d106175746f417574686f7269' +
  '7a650001000000036f7074696f6e73001900000008736b6970456d70747945786368616e676500010002246462000600000061646d696e0000';
const SASL_CONTINUE =
  'c9000000291f8e2300000000dd0700000000000000b4000000107361736c436f6e74696e7565000100000010636f6e766572736174696f6e49640001000000057061796c6f6164006c0000' +
  '0000633d626977732c723d513862704d75534345615832324c7245646c2b75596d5272463245493479626f643039636a5233394a4d4d3d4e313767615335366d527132346a374e70423662' +
  '496574572c703d7572797665634770414f306e4b5656756e317844706737774856773d02246462000600000061646d696e0000';
/** nmap's mongodb probe: OP_QUERY. */
const NMAP_SERVER_STATUS =
  '410000003a300000ffffffffd40700000000000074657374 2e24636d640000000000ffffffff1b00000001 7365727665725374617475730000000000 0000f03f00';

/** The document in a reply, of either form. */
function documentOf({ send = new Uint8Array() }: Outcome): BsonDocument {
  const view = new DataView(send.buffer, send.byteOffset);
  expect(view.getUint32(0, true)).toBe(send.length);
  const body = parseBson(send.subarray(view.getUint32(12, true) === 1 ? 36 : 21));
  if (!body.ok) throw new Error(body.why);
  return body.value.document;
}

const message = (document: Uint8Array): Uint8Array => bytesOf(u32le(21 + document.length), u32le(77), u32le(0), u32le(2013), u32le(0), 0, document);

describe('a stranger', () => {
  test('is told that the command needs a log-in, and the command is seen', () => {
    const talk = converse(mongodb);
    const refused = talk.say(LIST_DATABASES);
    expect(documentOf(refused)).toEqual([
      ['ok', 0],
      ['errmsg', 'command listDatabases requires authentication'],
      ['code', 13],
      ['codeName', 'Unauthorized'],
    ]);
    expect(new DataView(refused.send?.buffer ?? new ArrayBuffer(0), refused.send?.byteOffset).getUint32(8, true)).toBe(0x66334873);
    expect(refused.close).toBe(false);
    expect(talk.seen).toEqual([{ kind: 'command', line: 'admin { listDatabases: 1, nameOnly: true, lsid: { id: bytes(16) }, $db: "admin" }' }]);
  });

  test('of old drivers is answered in the old form', () => {
    const reply = converse(mongodb).say(NMAP_SERVER_STATUS);
    expect(
      Buffer.from(reply.send ?? [])
        .subarray(8, 24)
        .toString('hex'),
    ).toBe('3a300000010000000800000000000000');
    expect(documentOf(reply)).toContainEqual(['errmsg', 'command serverStatus requires authentication']);
  });

  test.each([
    ['hello', 'isWritablePrimary'],
    ['isMaster', 'ismaster'],
    ['ismaster', 'ismaster'],
  ])('that says %s meets a primary of 4.4', (command, primary) => {
    const document = documentOf(
      converse(mongodb).say(
        message(
          writeBson([
            [command, 1],
            ['$db', 'admin'],
          ]),
        ),
      ),
    );
    expect(document).toContainEqual([primary, true]);
    expect(document).toContainEqual(['maxWireVersion', 9]);
    expect(document).toContainEqual(['ok', 1]);
  });

  test('that queries a collection in the old form is refused in the old form', () => {
    const query = writeBson([]);
    const body = bytesOf(u32le(0), 'shop.users\0', u32le(0), u32le(1), query);
    const reply = converse(mongodb).say(bytesOf(u32le(16 + body.length), u32le(5), u32le(0), u32le(2004), body));
    expect(reply.send?.[16]).toBe(10); // QueryFailure, AwaitCapable
    expect(documentOf(reply)).toEqual([
      ['$err', 'not authorized for query on shop.users'],
      ['code', 13],
      ['ok', 0],
    ]);
  });

  test('may ask for the build', () => {
    expect(documentOf(converse(mongodb).say(message(writeBson([['buildInfo', 1]]))))).toContainEqual(['version', expect.stringMatching(/^4\.4\.\d+$/)]);
  });

  test('that asks for what there is none of is told so', () => {
    expect(documentOf(converse(mongodb).say(message(writeBson([['nonsense', 1]]))))).toContainEqual(['errmsg', "no such command: 'nonsense'"]);
  });

  test('whose browser comes here is told what it looks like: nmap knows MongoDB by it', () => {
    const outcome = converse(mongodb).say(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
    expect(outcome.close).toBe(true);
    const [head = '', body = ''] = sentText(outcome).split('\r\n\r\n');
    expect(Number(/Content-Length: (\d+)/.exec(head)?.[1])).toBe(body.length);
  });
});

describe('a log-in', () => {
  test('by SCRAM goes through both steps, fails, and leaves what it takes to check a guess', () => {
    const talk = converse(mongodb);
    const started = documentOf(talk.say(SASL_START));
    const payload = started.find(([name]) => name === 'payload')?.[1];
    expect(Buffer.from(payload as Uint8Array).toString()).toMatch(
      /^r=Q8bpMuSCEaX22LrEdl\+uYmRrF2EI4ybod09cjR39JMM=[A-Za-z0-9+/]{24},s=[A-Za-z0-9+/]{22}==,i=10000$/,
    );
    expect(documentOf(talk.say(SASL_CONTINUE))).toContainEqual(['errmsg', 'Authentication failed.']);
    expect(talk.seen).toEqual([
      {
        kind: 'credentials',
        user: 'admin',
        scheme: 'scram-sha-1',
        secret: expect.stringMatching(/^10000\*[^*]{24}\*Q8bpMu[^*]+\*uryvecGpAO0nKVVun1xDpg7wHVw=$/),
      },
    ]);
  });

  test('has the same salt for the same user on each connection, as a stored one has', () => {
    const salt = (): string => /s=[^,]+/.exec(sentText(converse(mongodb).say(SASL_START)))?.[0] ?? '';
    expect(salt()).toBe(salt());
    expect(salt()).not.toBe('');
  });

  test('in clear text is seen as such', () => {
    const talk = converse(mongodb);
    talk.say(
      message(
        writeBson([
          ['saslStart', 1],
          ['mechanism', 'PLAIN'],
          ['payload', bytesOf('\0bob\0pw')],
        ]),
      ),
    );
    expect(talk.seen).toEqual([{ kind: 'credentials', user: 'bob', secret: 'pw' }]);
  });
});

test.each([
  ['ffffff7f 00000000 00000000 dd070000'],
  ['0f000000 00000000'],
  ['10000000 00000000 00000000 d5070000'],
  ['15000000 00000000 00000000 dd070000 00000000 05'],
])('what is no message is closed: %s', bytes => {
  expect(converse(mongodb).say(bytes)).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
});

describe('BSON', () => {
  test('comes back as it was written', () => {
    const written = writeBson([
      ['i', -5],
      ['s', 'äb'],
      ['t', true],
      ['b', Uint8Array.of(1, 2)],
      ['d', { double: 1.5 }],
      ['at', { millis: 12 }],
      ['l', { list: [1, 'x'] }],
      ['o', [['k', false]]],
    ]);
    const read = parseBson(written);
    expect(read.ok && read.value).toEqual({
      bytes: written.length,
      document: [
        ['i', -5],
        ['s', '\xc3\xa4b'],
        ['t', true],
        ['b', Uint8Array.of(1, 2)],
        ['d', 1.5],
        ['at', 12n],
        [
          'l',
          [
            ['0', 1],
            ['1', 'x'],
          ],
        ],
        ['o', [['k', false]]],
      ],
    });
  });

  test('nested without end is refused', () => {
    let document = writeBson([]);
    for (let depth = 0; depth < 20; depth++) document = bytesOf(u32le(document.length + 8), 3, 'a\0', document, 0);
    expect(parseBson(document)).toEqual({ ok: false, why: 'too-deep' });
  });

  test('with more elements than any command has is refused', () => {
    expect(parseBson(writeBson(Array.from({ length: 300 }, () => ['a', true] as const)))).toEqual({ ok: false, why: 'too-long' });
  });

  test.each([
    ['05000000'],
    ['0500000001'],
    ['04000000 00'],
    ['0c0000000261 00ffffff7f 00'],
    ['080000000c6100 00'],
    ['0c00000010610001 000000 0000'.slice(0, 20)],
  ])('that is broken is a value, not an exception: %s', bytes => {
    expect(parseBson(fromHex(bytes)).ok).toBe(false);
  });
});
