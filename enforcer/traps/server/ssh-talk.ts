/** The talk with one client that has named itself: transport, log-in, channels. It is called with bytes and calls back with bytes; time and bounds are ssh.ts's. */
import { bytesOf, u32 } from '../protocols/bytes.ts';
import { hassh } from '../protocols/hassh.ts';
import type { TrapContext } from '../protocols/machine.ts';
import { command, fingerprint, malformed, type Observation, payload } from '../protocols/observation.ts';
import { createShell } from '../protocols/shell.ts';
import { SshChannels } from './ssh-channels.ts';
import { announcement, asksForProof, proof } from './ssh-host-keys.ts';
import { type LoginStep, SshLogin } from './ssh-login.ts';
import { MESSAGE, sshString } from './ssh-messages.ts';
import { type SshHost, SshTransport } from './ssh-transport.ts';
import { welcome } from './ssh-welcome.ts';

export interface TalkEnd {
  send(bytes: Buffer): void;
  observe(observation: Observation): void;
  /** A complete message came. */
  progress(): void;
  admit(): boolean;
}

const BY_PROTOCOL_ERROR = 2;

export class SshTalk {
  readonly #context: TrapContext;
  readonly #host: SshHost;
  readonly #end: TalkEnd;
  readonly #login: SshLogin;
  readonly #transport: SshTransport;
  #channels: SshChannels | undefined;
  #over = false;
  #proved = false;

  constructor(host: SshHost, context: TrapContext, identification: Buffer, end: TalkEnd) {
    this.#context = context;
    this.#host = host;
    this.#end = end;
    this.#login = new SshLogin(context.persona);
    this.#transport = new SshTransport(host, identification, {
      send: bytes => end.send(bytes),
      introduced: kexInit => end.observe(fingerprint('hassh', hassh(kexInit))),
      stray: message => this.#stray(message),
      secured: () => {},
      message: (message, sequence) => {
        if (!this.#over) this.#message(message, sequence);
      },
      progress: () => end.progress(),
      admit: () => end.admit(),
    });
  }

  /** Whether the client, or we, said good-bye. */
  get over(): boolean {
    return this.#over;
  }

  /** Bytes that wait for a packet to be whole, or for time. */
  get waiting(): number {
    return this.#transport.waiting;
  }

  /** Bytes of the client, whose memory this may keep. Throws where they end the session. */
  receive(bytes: Buffer): void {
    if (!this.#over) this.#transport.receive(bytes);
  }

  close(): void {
    this.#over = true;
    this.#transport.close();
  }

  #message(message: Buffer, sequence: number): void {
    const [type = 0] = message;
    switch (type) {
      case MESSAGE.disconnect:
        this.#over = true;
        return;
      case MESSAGE.ignore:
      case MESSAGE.unimplemented:
      case MESSAGE.debug:
      case MESSAGE.extensions:
        return;
      case MESSAGE.ping:
        if (this.#host.offer.extensions.some(([name]) => name === 'ping@openssh.com')) {
          this.#transport.send(bytesOf(MESSAGE.pong, message.subarray(1)));
          return;
        }
        break;
      case MESSAGE.serviceRequest:
        if (this.#channels === undefined) this.#step(this.#login.service(message));
        return;
      case MESSAGE.loginRequest:
        if (this.#channels === undefined) this.#step(this.#login.request(message)); // else it came late: OpenSSH ignores it as well
        return;
      case MESSAGE.answers:
        if (this.#channels === undefined) this.#step(this.#login.response(message));
        return;
      default:
        if (this.#channels === undefined && type >= MESSAGE.globalRequest) this.#stray(message);
        else if (this.#channels !== undefined && (this.#proves(message) || this.#channels.receive(message))) return;
    }
    this.#transport.send(bytesOf(MESSAGE.unimplemented, u32(sequence)));
  }

  #step({ reply, seen, user, refused }: LoginStep): void {
    if (seen !== undefined) this.#end.observe(seen);
    if (reply !== undefined) this.#transport.send(reply);
    if (user !== undefined) {
      const { persona, acceptedAt } = this.#context;
      this.#transport.letIn();
      this.#transport.send(announcement(this.#host));
      this.#channels = new SshChannels(createShell(persona, user), welcome(persona, acceptedAt), {
        send: message => this.#transport.send(message),
        observe: observation => this.#end.observe(observation),
      });
    }
    if (refused === undefined) return;
    this.#transport.send(bytesOf(MESSAGE.disconnect, u32(BY_PROTOCOL_ERROR), sshString(refused), sshString('')));
    this.#over = true;
  }

  /** Proves the host keys, once: signatures cost time. */
  #proves(message: Buffer): boolean {
    if (this.#proved || !asksForProof(message)) return false;
    this.#proved = true;
    const proved = proof(this.#host, this.#transport.sessionId, message);
    if (proved !== undefined) this.#transport.send(proved);
    return proved !== undefined;
  }

  /** A message of the connection protocol before anybody logged in: how CVE-2025-32433 (Erlang) and its kin run commands. */
  #stray(message: Buffer): void {
    const [type = 0] = message;
    this.#end.observe(malformed(`message ${type} before log-in`));
    const at = message.indexOf('exec');
    if (type === MESSAGE.channelRequest && at > 0) this.#end.observe(command(message.subarray(at + 9).toString('latin1')));
    else this.#end.observe(payload('ssh', message.toString('latin1')));
  }
}
