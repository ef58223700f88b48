/** How a client logs in (RFC 4252): as with sshd, but that only the persona's weak login gets in, and that all else is written down.. */
import { hash } from 'node:crypto';
import { ByteReader, bytesOf, latin1, u32 } from '../protocols/bytes.ts';
import { credentials, fingerprint, type Observation } from '../protocols/observation.ts';
import { oncePerPersona, type Persona } from '../protocols/persona.ts';
import { MESSAGE, readString, sshString } from './ssh-messages.ts';

/** What becomes of a message. */
export interface LoginStep {
  readonly reply?: Uint8Array;
  readonly seen?: Observation;
  /** Who got in. */
  readonly user?: string;
  /** The session ends, with this said. */
  readonly refused?: string;
}

const MOST_FAILURES = 6; // MaxAuthTries
const LONGEST_NAME = 256;
const LONGEST_SECRET = 1024; // as sshd takes no more
const MOST_RESPONSES = 16;
/** OpenSSH's way to name `publickey` with the host key signed too. */
const HOSTBOUND = 'publickey-hostbound-v00@openssh.com';

/** What `sshd -T` of the release's own configuration says: Debian and Ubuntu turn keyboard-interactive off, some administrators on; Rocky Linux has GSSAPI. */
export const methodsOf = oncePerPersona((persona: Persona): readonly string[] => {
  if (persona.release.family === 'rhel') return ['publickey', 'gssapi-keyex', 'gssapi-with-mic', 'password'];
  return persona.pick('ssh-keyboard-interactive', [false, false, true]) ? ['publickey', 'password', 'keyboard-interactive'] : ['publickey', 'password'];
});

export class SshLogin {
  readonly #persona: Persona;
  readonly #methods: readonly string[];
  #served = false;
  #user: string | undefined;
  #attempts = 0;
  #failures = 0;
  #asked = false;

  constructor(persona: Persona) {
    this.#persona = persona;
    this.#methods = methodsOf(persona);
  }

  /** SSH_MSG_SERVICE_REQUEST. */
  service(message: Uint8Array): LoginStep {
    const name = latin1(readString(new ByteReader(message.subarray(1)), LONGEST_NAME));
    if (name !== 'ssh-userauth') return { refused: `bad service request ${name}` };
    this.#served = true;
    return { reply: bytesOf(MESSAGE.serviceAccept, sshString(name)) };
  }

  /** SSH_MSG_USERAUTH_REQUEST. */
  request(message: Uint8Array): LoginStep {
    const reader = new ByteReader(message.subarray(1));
    const [user = '', service = '', method = ''] = [0, 1, 2].map(() => latin1(readString(reader, LONGEST_NAME)));
    if (reader.truncated || !this.#served) return { refused: 'incomplete message' };
    if (service !== 'ssh-connection' || (this.#user !== undefined && this.#user !== user)) {
      return { refused: `Change of username or service not allowed: (${this.#user ?? user},ssh-connection) -> (${user},${service})` };
    }
    this.#user = user;
    this.#attempts++;
    this.#asked = false;
    const meant = method === HOSTBOUND ? 'publickey' : method;
    switch (this.#methods.includes(meant) ? meant : '') {
      case 'password': {
        const changes = reader.u8() !== 0;
        const secret = latin1(readString(reader, LONGEST_SECRET));
        return reader.truncated ? { refused: 'incomplete message' } : this.#tried(user, secret, changes);
      }
      case 'publickey': {
        reader.u8();
        const algorithm = latin1(readString(reader, LONGEST_NAME));
        const key = readString(reader);
        if (reader.truncated) return { refused: 'incomplete message' };
        return { ...this.#failed(), seen: fingerprint('ssh-key', `${algorithm} SHA256:${hash('sha256', key, 'base64').replace(/=+$/, '')}`) };
      }
      case 'keyboard-interactive':
        this.#asked = true;
        return { reply: bytesOf(MESSAGE.questions, sshString(''), sshString(''), sshString(''), u32(1), sshString('Password: '), 0) };
      default:
        // How a client asks for the methods; the first such question is no failure.
        return method === 'none' && this.#attempts === 1 ? { reply: this.#failure() } : this.#failed();
    }
  }

  /** SSH_MSG_USERAUTH_INFO_RESPONSE (RFC 4256). */
  response(message: Uint8Array): LoginStep {
    const reader = new ByteReader(message.subarray(1));
    const count = reader.u32();
    const secret = count === 0 ? '' : latin1(readString(reader, LONGEST_SECRET));
    if (!this.#asked || this.#user === undefined || reader.truncated || count > MOST_RESPONSES) return { refused: 'incomplete message' };
    this.#asked = false;
    return this.#tried(this.#user, secret, false);
  }

  #tried(user: string, secret: string, changes: boolean): LoginStep {
    const seen = credentials(user, secret);
    const { weakLogin } = this.#persona;
    if (!changes && user === weakLogin.user && secret === weakLogin.secret) return { seen, user };
    return { ...this.#failed(), seen };
  }

  #failed(): LoginStep {
    this.#failures++;
    return this.#failures >= MOST_FAILURES ? { refused: 'Too many authentication failures' } : { reply: this.#failure() };
  }

  #failure(): Uint8Array {
    return bytesOf(MESSAGE.loginFailure, sshString(this.#methods.join(',')), 0);
  }
}
