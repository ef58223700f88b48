import { beforeAll, describe, expect, test } from 'vitest';
import { bytesOf, fromHex, u32 } from '#enforcer/traps/protocols/bytes.ts';
import { hassh } from '#enforcer/traps/protocols/hassh.ts';
import { readKexInit } from '#enforcer/traps/protocols/kexinit.ts';
import type { MachineLimits, Observation, Outcome, TrapMachine } from '#enforcer/traps/protocols/machine.ts';
import { createSshTrap, type SshTrapOptions } from '#enforcer/traps/server/ssh.ts';
import { SshAdmission } from '#enforcer/traps/server/ssh-admission.ts';
import { loadSshLibrary } from '#enforcer/traps/server/ssh-library.ts';
import { sshString } from '#enforcer/traps/server/ssh-messages.ts';
import { OPENSSH_KEXINIT } from '#test/support/real-client-bytes.ts';
import { HOST_KEYS, sshPersona } from '#test/support/ssh-server.ts';
import { contextOf, LIMITS } from '#test/support/trap-talk.ts';

const persona = sshPersona('9.2');
const KEXINIT = fromHex(OPENSSH_KEXINIT);
const OPEN_HANDED = { share: 1, burstMs: 1_000_000, clients: 1_000 };

beforeAll(async () => {
  await loadSshLibrary();
});

function trap(options: Partial<SshTrapOptions> = {}) {
  return createSshTrap({ hostKeys: HOST_KEYS, admission: OPEN_HANDED, ...options });
}

/** A machine that greeted at 0. */
function greeted(create = trap(), limits: MachineLimits = LIMITS): TrapMachine {
  const machine = create(contextOf(22, { persona, limits }));
  machine.open(0);
  return machine;
}

const text = ({ send }: Outcome): string => Buffer.from(send ?? []).toString('latin1');
const receive = (machine: TrapMachine, bytes: string | Uint8Array, nowMs = 10): Outcome =>
  machine.receive(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, nowMs);
const kinds = ({ observations }: Outcome): readonly string[] => observations.map(({ kind }: Observation) => kind);

/** A packet before there are keys. */
function packet(payload: Uint8Array): Uint8Array {
  const padding = 12 + ((8 - ((5 + 12 + payload.length) % 8)) % 8);
  return bytesOf(u32(1 + payload.length + padding), padding, payload, new Uint8Array(padding));
}

describe('the first line', () => {
  test('comes at once, and is that of the release', () => {
    expect(text(trap()(contextOf(22, { persona })).open(0))).toBe('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n');
  });

  test.each(['GET / HTTP/1.1\r\n', '\r\n', '\0'.repeat(300), 'x'.repeat(300), 'SSH\r\n'])('of a client that speaks otherwise ends it: %j', line => {
    const outcome = receive(greeted(), line);
    expect(text(outcome)).toBe('Invalid SSH identification string.\r\n');
    expect(outcome).toMatchObject({ close: true, observations: [{ kind: 'payload', name: 'ssh', content: line }] });
  });

  test.each(['SSH-1.5-Nmap\r\n', 'SSH-3.0-x\r\n', 'SSH--\n'])('of another version ends it: %j', line => {
    const outcome = receive(greeted(), line);
    expect(text(outcome)).toBe('Protocol major versions differ.\r\n');
    expect(outcome.close).toBe(true);
    expect(kinds(outcome)).toEqual(['fingerprint']);
  });

  test.each(['SSH-2.0-Go\r\n', 'SSH-2.0-OpenSSH_9.2p1 Debian\n', 'SSH-1.99-old\r\n', 'SSH-2.0-\r\n', 'SSH-2.0-\xff\x00 x\r\n'])(
    '%j is answered by KEXINIT, before the client’s',
    line => {
      const outcome = receive(greeted(), line);
      const kexInit = readKexInit(outcome.send ?? new Uint8Array());
      expect(kexInit).toMatchObject({ ok: true, value: { hostKey: 'rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519' } });
      expect(outcome).toMatchObject({ close: false, observations: [{ kind: 'fingerprint', name: 'ssh-client', value: line.replace(/\r?\n$/, '') }] });
    },
  );

  test('may come a byte at a time, with what follows', () => {
    const machine = greeted();
    let sent = '';
    for (const byte of Buffer.concat([Buffer.from('SSH-2.0-Go\r\n'), KEXINIT])) sent += text(receive(machine, Buffer.of(byte)));
    expect(sent).toContain('sntrup761x25519-sha512@openssh.com');
  });
});

describe('the deadline', () => {
  test('is not moved by a line that comes slowly', () => {
    const machine = greeted();
    let nowMs = 0;
    for (const byte of Buffer.from('SSH-2.0-slow')) {
      nowMs += 290;
      const outcome = receive(machine, Buffer.of(byte), nowMs);
      if (nowMs < LIMITS.patienceMs) expect(outcome).toMatchObject({ close: false, wakeAtMs: LIMITS.patienceMs });
      else expect(outcome).toMatchObject({ close: true, observations: [{ kind: 'deadline' }] });
      if (outcome.close) break;
    }
    expect(nowMs).toBeLessThan(LIMITS.patienceMs + 300);
  });

  test('is moved by the line, and by each packet', () => {
    const machine = greeted();
    expect(receive(machine, 'SSH-2.0-Go\r\n', 1000).wakeAtMs).toBe(1000 + LIMITS.patienceMs);
    expect(receive(machine, KEXINIT.subarray(0, 100), 2000).wakeAtMs).toBe(1000 + LIMITS.patienceMs);
    expect(receive(machine, KEXINIT.subarray(100), 3000).wakeAtMs).toBe(3000 + LIMITS.patienceMs);
    expect(machine.expire(3000 + LIMITS.patienceMs)).toMatchObject({ close: true, observations: [{ kind: 'deadline' }] });
  });

  test('never goes beyond the session', () => {
    const machine = greeted(trap(), { ...LIMITS, sessionMs: 4000 });
    expect(receive(machine, 'SSH-2.0-Go\r\n', 2000).wakeAtMs).toBe(4000);
  });

  test('leaves what was said before it', () => {
    const machine = greeted();
    receive(machine, 'SSH-2');
    expect(machine.expire(LIMITS.patienceMs).observations).toEqual([{ kind: 'payload', name: 'ssh', content: 'SSH-2', bytes: 5 }, { kind: 'deadline' }]);
  });
});

describe('what comes before the keys', () => {
  test('the client’s KEXINIT gives its HASSH', () => {
    const machine = greeted();
    receive(machine, 'SSH-2.0-OpenSSH_9.2\r\n');
    const kexInit = readKexInit(KEXINIT);
    expect(kexInit.ok && receive(machine, KEXINIT).observations).toEqual([
      { kind: 'fingerprint', name: 'hassh', value: kexInit.ok ? hassh(kexInit.value) : '' },
    ]);
  });

  test.each([
    ['a packet of no length', bytesOf(u32(0), 0, 0, 0, 0)],
    ['a packet of 4 GB', bytesOf(u32(0xffff_ffff), 0)],
    ['a packet longer than any', bytesOf(u32(35_001), 0)],
    ['more padding than packet', bytesOf(u32(12), 255, new Uint8Array(11))],
    ['a KEXINIT cut short', packet(KEXINIT.subarray(5, 300))],
    ['a key before KEXINIT', packet(bytesOf(30, sshString('x')))],
    ['a log-in', packet(bytesOf(50, sshString('root')))],
  ])('%s ends the session, and nothing else', (_what, bytes) => {
    const machine = greeted();
    receive(machine, 'SSH-2.0-x\r\n');
    const outcome = receive(machine, bytes);
    expect(outcome.close).toBe(true);
    expect(kinds(outcome)).toContain('malformed');
    expect(outcome.send).toBeUndefined(); // sshd says nothing to that
    expect(receive(machine, bytes)).toMatchObject({ close: true, observations: [] });
  });

  test('a command without a log-in is written down (CVE-2025-32433)', () => {
    const machine = greeted();
    receive(machine, 'SSH-2.0-x\r\n');
    receive(machine, KEXINIT);
    const opened = receive(machine, packet(bytesOf(98, u32(0), sshString('exec'), 1, sshString('os:cmd("id")'))));
    expect(opened.observations).toEqual([
      { kind: 'malformed', why: 'message 98 before log-in' },
      { kind: 'command', line: 'os:cmd("id")' },
      { kind: 'malformed', why: expect.any(String) as string },
    ]);
  });

  test('nothing in common ends it without a word, as it is no attack', () => {
    const machine = greeted();
    receive(machine, 'SSH-2.0-x\r\n');
    const lists = ['rot13', '', '', '', '', '', '', '', '', ''].map(list => sshString(list));
    const outcome = receive(machine, packet(bytesOf(20, new Uint8Array(16), ...lists, 0, u32(0))));
    expect(outcome.close).toBe(true);
    expect(kinds(outcome)).toEqual(['fingerprint']);
    expect(outcome.send).toBeUndefined();
  });

  test('is bounded', () => {
    const machine = greeted(trap(), { ...LIMITS, receivedBytes: 1000 });
    receive(machine, 'SSH-2.0-x\r\n');
    expect(receive(machine, new Uint8Array(2000))).toMatchObject({ close: true, observations: [{ kind: 'too-much', receivedBytes: 2011 }] });
  });
});

describe('a busy trap', () => {
  test('leaves clients at the greeting when too many are spoken with, and takes them up when others have left', () => {
    const create = trap({ admission: { ...OPEN_HANDED, clients: 1 } });
    const first = greeted(create);
    const second = greeted(create);
    expect(receive(first, 'SSH-2.0-x\r\n').send).toBeDefined();
    expect(receive(second, 'SSH-2.0-x\r\n')).toMatchObject({ close: false, wakeAtMs: 50, observations: [{ kind: 'fingerprint' }] });
    expect(second.expire(50).send).toBeUndefined();
    first.ended?.();
    expect(readKexInit(second.expire(90).send ?? new Uint8Array()).ok).toBe(true);
  });

  test('ends who waits too long', () => {
    const create = trap({ admission: { ...OPEN_HANDED, clients: 0 } });
    const machine = greeted(create);
    receive(machine, 'SSH-2.0-x\r\n');
    receive(machine, KEXINIT);
    expect(kinds(machine.expire(10 + LIMITS.patienceMs))).toEqual(['payload', 'deadline']);
  });

  test('lets who begins wait while there is no time, and who has begun before the costly part', () => {
    const admission = { share: 0.001, burstMs: 0.001, clients: 10 }; // any work is too much for the next seconds
    const create = trap({ admission });
    const first = greeted(create);
    const second = greeted(create);
    expect(receive(first, 'SSH-2.0-x\r\n').send).toBeDefined();
    expect(receive(second, 'SSH-2.0-x\r\n')).toMatchObject({ close: false, wakeAtMs: 50 });
    expect(second.expire(50).send).toBeUndefined();
    receive(first, KEXINIT);
    const key = packet(bytesOf(30, sshString(new Uint8Array(1190).fill(9))));
    expect(receive(first, key)).toMatchObject({ close: false, wakeAtMs: 50, observations: [] });
    expect(first.expire(50)).toMatchObject({ close: false, wakeAtMs: 90 });
    expect(first.expire(2_900_000)).toMatchObject({ close: true });
  });

  test('goes on once there is time', () => {
    const create = trap({ admission: { share: 1, burstMs: 0.001, clients: 10 } });
    const machine = greeted(create);
    receive(machine, 'SSH-2.0-x\r\n');
    receive(machine, KEXINIT, 20);
    expect(receive(machine, packet(bytesOf(30, sshString(new Uint8Array(1190).fill(9)))), 20).send).toBeUndefined();
    expect(machine.expire(2_000).send?.[5]).toBe(31); // SSH_MSG_KEX_ECDH_REPLY
  });

  test('has time for an exchange only within its share', () => {
    const admission = new SshAdmission({ share: 0.25, burstMs: 100, clients: 1 });
    expect(admission.admits(1000)).toBe(true);
    admission.spent(150, 1000);
    expect(admission.admits(1000)).toBe(false);
    expect(admission.admits(1199)).toBe(false);
    expect(admission.admits(1201)).toBe(true);
    expect(admission.admits(900)).toBe(true); // a clock that goes back gives nothing and takes nothing
  });

  test('forgets a client whose session must be over', () => {
    const admission = new SshAdmission({ share: 1, burstMs: 1, clients: 1 });
    expect(admission.enter({}, 500, 0)).toBe(true);
    expect(admission.enter({}, 900, 500)).toBe(false);
    expect(admission.enter({}, 900, 501)).toBe(true);
  });
});
