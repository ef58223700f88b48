/** The SSH trap under spoilt bytes: before the keys, where ssh2 reads them, and above, where we do. No throw, no growth without bound. */
import { beforeAll, describe, expect, test } from 'vitest';
import { bytesOf, fromHex, u32 } from '#enforcer/traps/protocols/bytes.ts';
import { createShell } from '#enforcer/traps/protocols/shell.ts';
import { createSshTrap } from '#enforcer/traps/server/ssh.ts';
import { SshChannels } from '#enforcer/traps/server/ssh-channels.ts';
import { loadSshLibrary } from '#enforcer/traps/server/ssh-library.ts';
import { SshLogin } from '#enforcer/traps/server/ssh-login.ts';
import { MESSAGE, sshString } from '#enforcer/traps/server/ssh-messages.ts';
import { encapsulate, PUBLIC_KEY_BYTES, RANDOM_BYTES } from '#enforcer/traps/server/ssh-sntrup761.ts';
import { type Dice, diceOf, mutated, noise } from '#test/support/mutations.ts';
import { OPENSSH_KEXINIT } from '#test/support/real-client-bytes.ts';
import { HOST_KEYS, sshPersona } from '#test/support/ssh-server.ts';
import { contextOf, LIMITS } from '#test/support/trap-talk.ts';

const nightly = process.env.HONEYMESH_NIGHTLY === '1';
const SEED = Number(process.env.HONEYMESH_SEED ?? 20_240_601);
const CLIENTS = nightly ? 250_000 : 600; // of up to five inputs; each costs ssh2's objects, some a key exchange
const MESSAGES = nightly ? 1_000_000 : 20_000;
const persona = sshPersona('9.2');
const NAME = Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n');
const KEXINIT = fromHex(OPENSSH_KEXINIT);

/** A whole packet without encryption, so that what is spoilt in it is read. */
function framed(payload: Uint8Array): Uint8Array {
  const padding = 12 + ((8 - ((5 + 12 + payload.length) % 8)) % 8);
  return bytesOf(u32(1 + payload.length + padding), padding, payload, new Uint8Array(padding));
}

const payloadOf = (packet: Uint8Array): Uint8Array => packet.subarray(5, packet.length - (packet[4] ?? 0));
/** What the exchanges begin with: of the hybrid, of a curve, of a group, of a group to be chosen. */
const FIRST_KEYS = [
  bytesOf(30, sshString(new Uint8Array(PUBLIC_KEY_BYTES + 32).fill(7))),
  bytesOf(30, sshString(new Uint8Array(32).fill(9))),
  bytesOf(30, sshString(new Uint8Array(256).fill(5))),
  bytesOf(34, u32(2048), u32(3072), u32(8192)),
  bytesOf(32, sshString(new Uint8Array(256).fill(5))),
  bytesOf(21),
];

beforeAll(async () => {
  await loadSshLibrary();
});

const oneOf = <T>(dice: Dice, choices: readonly T[]): T => choices[dice.below(choices.length)] as T;
const perhaps = (dice: Dice, bytes: Uint8Array): Uint8Array => (dice.below(3) === 0 ? bytes : mutated(dice, bytes, oneOf(dice, FIRST_KEYS)));

test(`${CLIENTS} clients that spoil the exchange of keys end alone`, () => {
  const dice = diceOf(SEED);
  const trap = createSshTrap({ hostKeys: HOST_KEYS, admission: { share: 1, burstMs: Number.MAX_SAFE_INTEGER, clients: 4 } });
  for (let client = 0; client < CLIENTS; client++) {
    const machine = trap(contextOf(22, { persona, limits: LIMITS }));
    machine.open(0);
    const parts = [
      dice.below(8) === 0 ? mutated(dice, NAME, KEXINIT) : NAME,
      dice.below(4) === 0 ? mutated(dice, KEXINIT, NAME) : framed(perhaps(dice, payloadOf(KEXINIT))),
      framed(perhaps(dice, oneOf(dice, FIRST_KEYS))),
      framed(perhaps(dice, oneOf(dice, FIRST_KEYS))),
      noise(dice, 300),
    ];
    let sent = 0;
    for (const [at, part] of parts.entries()) {
      const outcome = machine.receive(part, 10 * at);
      sent += outcome.send?.length ?? 0;
      if (outcome.close) break;
    }
    machine.ended?.(); // or there would be no room for the next
    if (sent > 20_000) expect.fail(`client ${client} was sent ${sent} bytes`);
  }
});

test('any bytes are a public key of the hybrid', () => {
  const dice = diceOf(SEED);
  for (let key = 0; key < 20; key++) {
    const bytes = Uint8Array.from({ length: PUBLIC_KEY_BYTES }, () => (key === 0 ? 0xff : dice.below(256)));
    expect(encapsulate(bytes, new Uint8Array(RANDOM_BYTES).fill(key)).ciphertext).toHaveLength(1039);
  }
});

const login = (method: string, ...rest: readonly (number | Uint8Array)[]): Uint8Array =>
  bytesOf(MESSAGE.loginRequest, sshString('root'), sshString('ssh-connection'), sshString(method), ...rest);
const onChannel = (type: string, ...rest: readonly (number | Uint8Array | readonly number[])[]): Uint8Array =>
  bytesOf(MESSAGE.channelRequest, u32(0), sshString(type), 1, ...rest);

describe(`${MESSAGES} spoilt messages`, () => {
  test('of a log-in', () => {
    const dice = diceOf(SEED);
    const messages = [
      bytesOf(MESSAGE.serviceRequest, sshString('ssh-userauth')),
      login('none'),
      login('password', 0, sshString('secret')),
      login('publickey', 1, sshString('ssh-rsa'), sshString('key'), sshString('signature')),
      login('keyboard-interactive', sshString(''), sshString('')),
      bytesOf(MESSAGE.answers, u32(1), sshString('secret')),
    ];
    for (let at = 0; at < MESSAGES; ) {
      const state = new SshLogin(persona);
      for (let steps = 0; steps < 12; steps++) {
        at++;
        const message = perhaps(dice, oneOf(dice, messages));
        const step = oneOf(dice, [state.service, state.request, state.response]).call(state, message);
        if ((step.reply?.length ?? 0) > 200) expect.fail(Buffer.from(message).toString('hex'));
        if (step.refused !== undefined) break;
      }
    }
  });

  test('of channels', () => {
    const dice = diceOf(SEED);
    const messages = [
      bytesOf(MESSAGE.open, sshString('session'), u32(0), u32(100_000), u32(32_768)),
      bytesOf(MESSAGE.open, sshString('direct-tcpip'), u32(1), u32(9), u32(9), sshString('10.0.0.1'), u32(80), sshString('1.2.3.4'), u32(5)),
      bytesOf(MESSAGE.globalRequest, sshString('tcpip-forward'), 1, sshString(''), u32(0)),
      onChannel('pty-req', sshString('xterm'), u32(80), u32(24), u32(0), u32(0), sshString('')),
      onChannel('env', sshString('LANG'), sshString('C')),
      onChannel('exec', sshString('cat > /tmp/x; sh /tmp/x')),
      onChannel('exec', sshString('scp -t /tmp')),
      onChannel('shell'),
      bytesOf(MESSAGE.data, u32(0), sshString('C0644 10 x\nid;\r\x1b[A\x7f\x03\nexit\r')),
      bytesOf(MESSAGE.windowAdjust, u32(0), u32(1)),
      bytesOf(MESSAGE.eof, u32(0)),
      bytesOf(MESSAGE.close, u32(0)),
    ];
    for (let at = 0; at < MESSAGES; ) {
      let sent = 0;
      const channels = new SshChannels(createShell(persona, 'root'), 'Welcome\r\n', { send: message => (sent += message.length), observe: () => {} });
      for (let steps = 0; steps < 40; steps++, at++) channels.receive(perhaps(dice, messages[steps < 3 ? 0 : dice.below(messages.length)] as Uint8Array));
      if (sent > 200_000) expect.fail(`${sent} bytes were sent`);
    }
  });
});
