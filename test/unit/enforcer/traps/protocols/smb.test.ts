import { describe, expect, test } from 'vitest';
import { bytesOf, fromHex, toUtf16le, u16le, u32le } from '#enforcer/traps/protocols/bytes.ts';
import { readNtlm } from '#enforcer/traps/protocols/ntlm.ts';
import { smb } from '#enforcer/traps/protocols/smb.ts';
import { BOOKWORM, converse, sentHex } from '#test/support/binary-traps.ts';

/** impacket 0.13: the negotiation in SMB 1, the one in SMB 2, NTLMSSP's first and last message. */
const NEGOTIATE_SMB1 =
  '00000045ff534d4272000000001801c8000000000000000000000000ffff000000000000002200024e54204c4d20302e31320002534d4220322e3030320002534d4220322e3f3f3f00';
const NEGOTIATE_SMB2 =
  '000000acfe534d4240000100000000000000000000000000000000000100000000000000000000000000000000000000000000000000000000000000000000000000000024000500010000004000000065436c634b4a45' +
  '766a64615a57527945700000000200000002021002000302031103ffff0100260000000000010020000100736977485264434d7670444f6979744a636b7151654250637545635364747776ffff020004000000000001000100';
const SETUP_NEGOTIATE =
  '0000009afe534d42400001000000000001000000000000000000000002000000000000000000000000000000000000000000000000000000000000000000000000000000190000010000000000000000580042000000000000000000' +
  '604006062b0601050502a0363034a00e300c060a2b06010401823702020aa22204204e544c4d5353500001000000358288e000000000000000000000000000000000';
const SETUP_AUTHENTICATE =
  '0000018afe534d42400001000000000001007f000000000000000000030000000000000000000000000000000117612f000000000000000000000000000000000000000019000001000000' +
  '0000000000580032010000000000000000a182012e3082012aa2820126048201224e544c4d53535000030000001800180062000000980098007a00000008000800400000001a001a004800' +
  '000000000000620000001000100012010000158288e043004f0052005000610064006d0069006e006900730074007200610074006f007200303784b5417d86e60a02aeded9227c4d374861' +
  '41444c6a345f6235a289f9c749c418e1ab1748f7d8010100000000000030c13d73397cdd0137486141444c6a340000000002000a005700450042003000390001000a005700450042003000' +
  '3900040006006c0061006e0003001200770065006200300039002e006c0061006e000700080030c13d73397cdd0109001c0063006900660073002f00770065006200300039002e006c0061' +
  '006e00000000005a15b2f7fda9d7cb089fe17fa358ff7e';
/** nmap's SMBProgNeg. */
const NMAP_SMB1 =
  '000000a4ff534d4272000000000801400000000000000000000000000000400600000100008100025043204e4554574f524b2050524f4752414d20312e3000024d4943524f534f4654204e4554574f' +
  '524b5320312e303300024d4943524f534f4654204e4554574f524b5320332e3000024c414e4d414e312e3000024c4d312e3258303032000253616d626100024e54204c414e4d414e20312e3000024e54204c4d20302e313200';

/** NTLMSSP's last message, bare, in a session set-up. */
function authenticate(domain: string, user: string, ntResponse: Uint8Array): Uint8Array {
  const texts = [new Uint8Array(0), ntResponse, toUtf16le(domain), toUtf16le(user), toUtf16le('WS'), new Uint8Array(0)];
  let at = 64;
  const slots = texts.map(text => {
    const slot = bytesOf(u16le(text.length), u16le(text.length), u32le(at));
    at += text.length;
    return slot;
  });
  const token = bytesOf('NTLMSSP\0', u32le(3), ...slots, u32le(1), ...texts);
  const header = bytesOf('\xfeSMB', u16le(64), new Uint8Array(6), u16le(1), u16le(1), new Uint8Array(48));
  const message = bytesOf(header, u16le(25), new Uint8Array(10), u16le(88), u16le(token.length), new Uint8Array(8), token);
  return bytesOf(0, 0, message.length >> 8, message.length & 0xff, message);
}

const status = (hexText: string): string => hexText.slice(2 * 12, 2 * 16);

describe('a negotiation', () => {
  test('of SMB 1 alone finds no dialect: nmap knows Samba by it', () => {
    const refused = converse(smb).say(NMAP_SMB1);
    expect(sentHex(refused)).toMatch(/^00000025ff534d42720000000088....0{28}400600000100(?:01ffff0000)$/);
    expect(refused.close).toBe(true);
  });

  test('that starts in SMB 1 goes on in SMB 2', () => {
    const talk = converse(smb);
    const multi = talk.say(NEGOTIATE_SMB1);
    expect(sentHex(multi).slice(8, 16)).toBe('fe534d42');
    expect(sentHex(multi).slice(2 * 72, 2 * 74)).toBe('ff02');
    const best = talk.say(NEGOTIATE_SMB2);
    expect(sentHex(best).slice(2 * 72, 2 * 74)).toBe('1103');
    expect(talk.seen).toEqual([
      { kind: 'fingerprint', name: 'smb-dialects', value: 'NT LM 0.12,SMB 2.002,SMB 2.???' },
      { kind: 'fingerprint', name: 'smb-dialects', value: '0202,0210,0300,0302,0311' },
    ]);
  });

  test('of 3.1.1 has its contexts where the header says, each on eight bytes', () => {
    const send = converse(smb).say(NEGOTIATE_SMB2).send ?? new Uint8Array();
    const message = new DataView(send.buffer, send.byteOffset + 4);
    expect(message.byteLength).toBe((send[2] ?? 0) * 256 + (send[3] ?? 0));
    const [count, first] = [message.getUint16(70, true), message.getUint32(124, true)];
    expect([count, first % 8]).toEqual([2, 0]);
    expect(message.getUint16(first, true)).toBe(1);
    const second = first + 8 + Math.ceil(message.getUint16(first + 2, true) / 8) * 8;
    expect([message.getUint16(second, true), message.getUint16(second + 2, true)]).toEqual([2, 4]);
    expect(second + 8 + 4).toBe(message.byteLength);
  });
});

describe('a log-in', () => {
  test('is challenged, and its answer kept as password crackers read it', () => {
    const talk = converse(smb);
    talk.say(NEGOTIATE_SMB2);
    const challenged = talk.say(SETUP_NEGOTIATE);
    expect(status(sentHex(challenged))).toBe('160000c0');
    const text = Buffer.from(challenged.send ?? []).toString('latin1');
    const challenge = Buffer.from(text.slice(text.indexOf('NTLMSSP') + 24, text.indexOf('NTLMSSP') + 32), 'latin1').toString('hex');
    expect(challenge).toBe('0102030405060708');
    expect(text.replaceAll('\0', '')).toContain(BOOKWORM.hostName.toUpperCase());
    const refused = talk.say(SETUP_AUTHENTICATE);
    expect(status(sentHex(refused))).toBe('6d0000c0');
    expect(refused.close).toBe(false);
    expect(talk.seen.slice(1)).toEqual([
      { kind: 'request', method: 'session-setup', target: 'CORP\\administrator', headers: [['workstation', '']] },
      { kind: 'credentials', user: 'CORP\\administrator', secret: `${challenge}*5f6235a289f9c749c418e1ab1748f7d8`, scheme: 'ntlmv2' },
      expect.objectContaining({
        kind: 'payload',
        name: 'ntlmv2-response',
        content: expect.stringMatching(new RegExp(`^administrator::CORP:${challenge}:5f6235a289f9c749c418e1ab1748f7d8:0101`)),
      }),
    ]);
  });

  test('of NTLM 1 is told apart', () => {
    const talk = converse(smb);
    talk.say(authenticate('', 'guest', new Uint8Array(24).fill(0xab)));
    expect(talk.seen.at(-1)).toMatchObject({ kind: 'credentials', user: 'guest', scheme: 'ntlmv1' });
  });

  test('without a name is denied and no credential', () => {
    const talk = converse(smb);
    expect(status(sentHex(talk.say(authenticate('', '', new Uint8Array(0)))))).toBe('220000c0');
    expect(talk.seen.map(seen => seen.kind)).toEqual(['request']);
  });

  test('with a name and no answer is one without a password', () => {
    const talk = converse(smb);
    expect(status(sentHex(talk.say(authenticate('WORKGROUP', 'root', new Uint8Array(0)))))).toBe('6d0000c0');
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: 'WORKGROUP\\root', secret: '' });
  });

  test('is needed before anything else', () => {
    const treeConnect = bytesOf([0, 0, 0, 72], '\xfeSMB', u16le(64), new Uint8Array(6), u16le(3), new Uint8Array(50), fromHex('0900 0000 4800 0000'));
    expect(status(sentHex(converse(smb).say(treeConnect)))).toBe('030200c0');
  });
});

test('port 139 has its session request', () => {
  expect(sentHex(converse(smb).say(bytesOf([0x81, 0, 0, 68], new Uint8Array(68))))).toBe('82000000');
});

test.each([['474554202f'], ['00ffffff'], ['00000004 41424344'], ['00000004 ff534d42']])('what is no SMB is closed: %s', bytes => {
  expect(converse(smb).say(bytes)).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
});

test('NTLM fields that point outside are empty', () => {
  const message = bytesOf('NTLMSSP\0', u32le(3), ...Array.from({ length: 6 }, () => bytesOf(u16le(0xffff), u16le(0xffff), u32le(0xffffffff))), u32le(1));
  expect(readNtlm(message)).toMatchObject({ ok: true, value: { user: '', domain: '' } });
  expect(readNtlm(bytesOf('NTLMSSP\0', u32le(3), 0))).toEqual({ ok: false, why: 'truncated' });
});
