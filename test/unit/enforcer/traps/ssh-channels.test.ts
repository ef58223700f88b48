import { describe, expect, test } from 'vitest';
import { ByteReader, bytesOf, latin1, u32 } from '#enforcer/traps/protocols/bytes.ts';
import { createShell } from '#enforcer/traps/protocols/shell.ts';
import { SshChannels } from '#enforcer/traps/server/ssh-channels.ts';
import { MESSAGE, readString, sshString } from '#enforcer/traps/server/ssh-messages.ts';
import { personaOf } from '#test/support/trap-talk.ts';

const REMOTE = 7;

function opened({ window = 100_000, largest = 32_768 } = {}) {
  const sent: Uint8Array[] = [];
  const seen: string[] = [];
  const channels = new SshChannels(createShell(personaOf(1), 'root'), '', {
    send: message => void sent.push(message),
    observe: observation => void seen.push(observation.kind === 'command' ? observation.line : observation.kind),
  });
  channels.receive(bytesOf(MESSAGE.open, sshString('session'), u32(REMOTE), u32(window), u32(largest)));
  return {
    channels,
    sent,
    seen,
    ask: (type: string, ...rest: readonly Uint8Array[]) => channels.receive(bytesOf(MESSAGE.channelRequest, u32(0), sshString(type), 1, ...rest)),
    /** The data of each packet. */
    data: () => sent.filter(([type]) => type === MESSAGE.data).map(message => latin1(readString(new ByteReader(message.subarray(5))))),
    types: () => sent.map(([type]) => type),
  };
}

describe('a channel', () => {
  test('opens, and its window with the program, as at OpenSSH’s', () => {
    const { ask, types } = opened();
    ask('exec', sshString('whoami'));
    expect(types()).toEqual([
      ...[MESSAGE.openConfirmation, MESSAGE.windowAdjust, MESSAGE.channelSuccess, MESSAGE.data],
      ...[MESSAGE.channelRequest, MESSAGE.channelRequest, MESSAGE.eof, MESSAGE.close],
    ]);
  });

  test('sends no more than the client’s window has room for, and its end after the rest', () => {
    const { channels, ask, data, types } = opened({ window: 3 });
    ask('exec', sshString('echo 1234567'));
    expect(data()).toEqual(['123']);
    channels.receive(bytesOf(MESSAGE.windowAdjust, u32(0), u32(4)));
    expect(data()).toEqual(['123', '4567']);
    expect(types()).not.toContain(MESSAGE.close);
    channels.receive(bytesOf(MESSAGE.windowAdjust, u32(0), u32(9)));
    expect(data()).toEqual(['123', '4567', '\n']);
    expect(types().at(-1)).toBe(MESSAGE.close);
  });

  test('sends packets as large as the client takes, but does not crumble', () => {
    const large = opened({ largest: 2_000 });
    large.ask('exec', sshString(`echo ${'x'.repeat(500)};`.repeat(10)));
    expect(large.data().map(({ length }) => length)).toEqual([2_000, 2_000, 1_010]);
    const small = opened({ largest: 1 });
    small.ask('exec', sshString(`echo ${'x'.repeat(500)};`.repeat(10)));
    expect(small.data()).toHaveLength(5);
  });

  test('has one program', () => {
    const { ask, seen, sent } = opened();
    ask('exec', sshString('cat > x'));
    ask('exec', sshString('id'));
    expect(seen).toEqual(['cat > x']);
    expect(sent.at(-1)?.[0]).toBe(MESSAGE.channelFailure);
  });

  test('answers a close by one, and is gone', () => {
    const { channels, sent, seen } = opened();
    channels.receive(bytesOf(MESSAGE.close, u32(0)));
    expect(sent.at(-1)).toEqual(bytesOf(MESSAGE.close, u32(REMOTE)));
    const before = sent.length;
    channels.receive(bytesOf(MESSAGE.close, u32(0)));
    channels.receive(bytesOf(MESSAGE.channelRequest, u32(0), sshString('exec'), 1, sshString('id')));
    expect({ more: sent.length - before, seen }).toEqual({ more: 0, seen: [] });
  });

  test('grants what OpenSSH grants, and refuses the rest', () => {
    const { ask, sent } = opened();
    const granted = (type: string, ...rest: readonly Uint8Array[]): boolean => {
      ask(type, ...rest);
      return sent.at(-1)?.[0] === MESSAGE.channelSuccess;
    };
    expect(granted('env', sshString('LC_ALL'), sshString('C'))).toBe(true);
    expect(granted('env', sshString('LD_PRELOAD'), sshString('/tmp/x.so'))).toBe(false);
    expect(granted('pty-req', sshString('xterm'), new Uint8Array(20))).toBe(true);
    expect(granted('auth-agent-req@openssh.com')).toBe(false);
    expect(granted('subsystem', sshString('sftp'))).toBe(false);
    expect(granted('x11-req', new Uint8Array(20))).toBe(false);
  });
});

test('what is none of its messages, or cut short, is said to be so', () => {
  const { channels } = opened();
  expect(channels.receive(bytesOf(MESSAGE.open, sshString('session'), u32(1)))).toBe(false);
  expect(channels.receive(bytesOf(MESSAGE.globalRequest))).toBe(false);
  expect(channels.receive(bytesOf(127, u32(0)))).toBe(false);
  expect(channels.receive(bytesOf(MESSAGE.data, u32(9), sshString('x')))).toBe(false);
});
