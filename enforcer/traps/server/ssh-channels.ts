/** The connection protocol (RFC 4254) of a client that got in: sessions with a program each; forwarding is refused, and written down. */
import { ByteReader, bytesOf, latin1, u32 } from '../protocols/bytes.ts';
import { command, type Observation, payload } from '../protocols/observation.ts';
import type { Shell } from '../protocols/shell.ts';
import { MESSAGE, readString, sshString } from './ssh-messages.ts';
import { createCommand, createPipedShell, createTerminal, type Program, type Said } from './ssh-programs.ts';

export interface ChannelsEnd {
  send(message: Uint8Array): void;
  observe(observation: Observation): void;
}

interface Channel {
  readonly remote: number;
  readonly largest: number;
  window: number;
  terminal: boolean;
  program: Program | undefined;
  /** What waits for the client's window. */
  unsent: { readonly errors: boolean; readonly text: string }[];
  exit: number | undefined;
  ended: boolean;
}

const MOST_CHANNELS = 10; // MaxSessions
const MOST_EVER = 64;
const LONGEST_NAME = 256;
const LONGEST_COMMAND = 8192;
const MOST_UNSENT = 64 * 1024;
const WINDOW = 2 * 1024 * 1024; // CHAN_SES_WINDOW_DEFAULT of OpenSSH: more than a session may send, so it is never moved
const LARGEST_PACKET = 32 * 1024;
const SMALLEST_PACKET = 1024; // a client that wants a byte in each would have us encrypt each
const CONNECT_FAILED = 2;
const STDERR = 1;

export class SshChannels {
  readonly #shell: Shell;
  readonly #greeting: string;
  readonly #end: ChannelsEnd;
  readonly #channels = new Map<number, Channel>();
  #opened = 0;

  constructor(shell: Shell, greeting: string, end: ChannelsEnd) {
    this.#shell = shell;
    this.#greeting = greeting;
    this.#end = end;
  }

  /** A message of this protocol. False: it is none, or makes no sense. */
  receive(message: Uint8Array): boolean {
    const reader = new ByteReader(message.subarray(1));
    const [type] = message;
    if (type === MESSAGE.globalRequest) return this.#global(reader);
    if (type === MESSAGE.open) return this.#open(reader);
    const id = reader.u32();
    const channel = this.#channels.get(id);
    if (reader.truncated || channel === undefined) return type === MESSAGE.windowAdjust || type === MESSAGE.close; // for one that we just closed
    switch (type) {
      case MESSAGE.windowAdjust:
        channel.window = Math.min(channel.window + reader.u32(), 0xffff_ffff);
        this.#flush(channel);
        return true;
      case MESSAGE.data:
        this.#follow(channel, channel.program?.input(latin1(readString(reader))));
        return true;
      case MESSAGE.eof:
        this.#follow(channel, channel.program?.end());
        return true;
      case MESSAGE.close:
        if (!channel.ended) this.#end.send(bytesOf(MESSAGE.close, u32(channel.remote)));
        this.#channels.delete(id);
        return true;
      case MESSAGE.channelRequest:
        this.#request(channel, reader);
        return true;
      default:
        return type === MESSAGE.extendedData || type === MESSAGE.channelSuccess || type === MESSAGE.channelFailure;
    }
  }

  #global(reader: ByteReader): boolean {
    const name = latin1(readString(reader, LONGEST_NAME));
    const wantsReply = reader.u8() !== 0;
    if (name === 'tcpip-forward') {
      const address = latin1(readString(reader, LONGEST_NAME));
      this.#end.observe(command(`tcpip-forward ${address}:${reader.u32()}`));
    }
    if (wantsReply) this.#end.send(bytesOf(MESSAGE.requestFailure));
    return !reader.truncated;
  }

  #open(reader: ByteReader): boolean {
    const type = latin1(readString(reader, LONGEST_NAME));
    const remote = reader.u32();
    const window = reader.u32();
    const largest = reader.u32();
    if (reader.truncated) return false;
    if (type === 'session' && this.#channels.size < MOST_CHANNELS && this.#opened < MOST_EVER) {
      const id = this.#freeId();
      this.#opened++;
      this.#channels.set(id, { remote, window, largest, terminal: false, program: undefined, unsent: [], exit: undefined, ended: false });
      // As sshd: the window opens when there is a program.
      this.#end.send(bytesOf(MESSAGE.openConfirmation, u32(remote), u32(id), u32(0), u32(LARGEST_PACKET)));
      return true;
    }
    if (type === 'direct-tcpip' || type === 'direct-streamlocal@openssh.com') {
      const host = latin1(readString(reader, LONGEST_NAME));
      this.#end.observe(command(type === 'direct-tcpip' ? `direct-tcpip ${host}:${reader.u32()}` : `direct-streamlocal ${host}`));
    }
    const why = type === 'direct-tcpip' ? 'Connection refused' : 'open failed';
    this.#end.send(bytesOf(MESSAGE.openFailure, u32(remote), u32(CONNECT_FAILED), sshString(why), sshString('')));
    return true;
  }

  #freeId(): number {
    for (let id = 0; ; id++) if (!this.#channels.has(id)) return id;
  }

  #request(channel: Channel, reader: ByteReader): void {
    const type = latin1(readString(reader, LONGEST_NAME));
    const wantsReply = reader.u8() !== 0;
    const text = (longest = LONGEST_NAME): string => latin1(readString(reader, longest));
    let granted = false;
    let program: Program | undefined;
    switch (type) {
      case 'pty-req': {
        const name = text();
        channel.terminal = true;
        granted = true;
        this.#end.observe(payload('ssh-pty', `${name} ${reader.u32()}x${reader.u32()}`));
        break;
      }
      case 'env': {
        const name = text();
        granted = /^(LANG$|LC_)/.test(name); // AcceptEnv of all releases
        this.#end.observe(payload('ssh-env', `${name}=${text(LONGEST_COMMAND)}`));
        break;
      }
      case 'shell':
        program = channel.terminal ? createTerminal(this.#shell, this.#greeting) : createPipedShell(this.#shell);
        break;
      case 'exec':
        program = createCommand(this.#shell, text(LONGEST_COMMAND), channel.terminal);
        break;
      case 'subsystem':
        this.#end.observe(command(`subsystem ${text()}`));
        break;
      case 'window-change':
      case 'signal':
      case 'eow@openssh.com':
        granted = true;
    }
    const starts = program !== undefined && channel.program === undefined && !reader.truncated;
    if (starts) this.#end.send(bytesOf(MESSAGE.windowAdjust, u32(channel.remote), u32(WINDOW)));
    if (wantsReply) this.#end.send(bytesOf(granted || starts ? MESSAGE.channelSuccess : MESSAGE.channelFailure, u32(channel.remote)));
    if (!starts) return;
    channel.program = program;
    this.#follow(channel, program?.start());
  }

  #follow(channel: Channel, said: Said | undefined): void {
    if (said === undefined || channel.exit !== undefined) return;
    for (const seen of said.seen ?? []) this.#end.observe(seen);
    if (said.out !== undefined && said.out !== '') channel.unsent.push({ errors: false, text: said.out });
    if (said.errors !== undefined && said.errors !== '') channel.unsent.push({ errors: true, text: said.errors });
    channel.exit = said.exit;
    this.#flush(channel);
  }

  /** Sends what the client's window has room for; then, where the program has ended, its end. */
  #flush(channel: Channel): void {
    while (channel.unsent.length > 0 && !channel.ended) {
      const [first = { errors: false, text: '' }, ...others] = channel.unsent;
      const part = first.text.slice(0, Math.min(channel.window, Math.max(channel.largest, SMALLEST_PACKET), LARGEST_PACKET));
      if (part === '') break;
      channel.window -= part.length;
      channel.unsent = part.length === first.text.length ? others : [{ ...first, text: first.text.slice(part.length) }, ...others];
      const kind = first.errors ? bytesOf(MESSAGE.extendedData, u32(channel.remote), u32(STDERR)) : bytesOf(MESSAGE.data, u32(channel.remote));
      this.#end.send(bytesOf(kind, sshString(part)));
    }
    const waiting = channel.unsent.reduce((sum, { text }) => sum + text.length, 0);
    const done = channel.exit !== undefined && waiting === 0;
    if (channel.ended || (!done && waiting <= MOST_UNSENT)) return;
    channel.ended = true;
    const { remote } = channel;
    this.#end.send(bytesOf(MESSAGE.channelRequest, u32(remote), sshString('exit-status'), 0, u32(channel.exit ?? 1)));
    this.#end.send(bytesOf(MESSAGE.channelRequest, u32(remote), sshString('eow@openssh.com'), 0));
    this.#end.send(bytesOf(MESSAGE.eof, u32(remote)));
    this.#end.send(bytesOf(MESSAGE.close, u32(remote)));
  }
}
