import { describe, expect, test } from 'vitest';
import { ByteReader, bytesOf, latin1, u32 } from '#enforcer/traps/protocols/bytes.ts';
import { type LoginStep, methodsOf, SshLogin } from '#enforcer/traps/server/ssh-login.ts';
import { MESSAGE, readString, sshString } from '#enforcer/traps/server/ssh-messages.ts';
import { personaWith } from '#test/support/trap-talk.ts';

const debian = personaWith(persona => methodsOf(persona).join() === 'publickey,password');
const interactive = personaWith(persona => methodsOf(persona).join() === 'publickey,password,keyboard-interactive');
const rocky = personaWith(persona => persona.release.family === 'rhel');
const { user: weakUser, secret: weakSecret } = debian.weakLogin;

const service = (name = 'ssh-userauth') => bytesOf(MESSAGE.serviceRequest, sshString(name));
const request = (user: string, method: string, ...rest: readonly (number | Uint8Array)[]) =>
  bytesOf(MESSAGE.loginRequest, sshString(user), sshString('ssh-connection'), sshString(method), ...rest);
const password = (user: string, secret: string, changes = 0) => request(user, 'password', changes, sshString(secret));
const publicKey = (user: string, method = 'publickey') => request(user, method, 0, sshString('ssh-ed25519'), sshString('key'));
const answers = (...given: readonly string[]) => bytesOf(MESSAGE.answers, u32(given.length), ...given.map(sshString));

function loginOf(persona = debian): SshLogin {
  const login = new SshLogin(persona);
  login.service(service());
  return login;
}

/** The methods of a failure. */
function failure({ reply }: LoginStep): string | undefined {
  if (reply?.[0] !== MESSAGE.loginFailure) return undefined;
  return latin1(readString(new ByteReader(reply.subarray(1))));
}

describe('methods are those of the release', () => {
  test.each([
    ['Debian and Ubuntu', debian, 'publickey,password'],
    ['where an administrator has turned it on', interactive, 'publickey,password,keyboard-interactive'],
    ['Rocky Linux', rocky, 'publickey,gssapi-keyex,gssapi-with-mic,password'],
  ])('%s', (_whose, persona, methods) => {
    expect(failure(loginOf(persona).request(request('root', 'none')))).toBe(methods);
  });
});

describe('a password', () => {
  test('is written down as it came, and refused', () => {
    const step = loginOf().request(password('root', 'pa\xffss\0word'));
    expect(step.seen).toEqual({ kind: 'credentials', user: 'root', secret: 'pa\xffss\0word' });
    expect(failure(step)).toBe('publickey,password');
    expect(step.user).toBeUndefined();
  });

  test('gets in where it is the weak one', () => {
    const step = loginOf().request(password(weakUser, weakSecret));
    expect(step).toMatchObject({ user: weakUser, seen: { kind: 'credentials', secret: weakSecret } });
    expect(step.reply).toBeUndefined();
  });

  test('with a request to change it does not', () => {
    expect(loginOf().request(password(weakUser, weakSecret, 1)).user).toBeUndefined();
  });

  test('the sixth wrong one is the last', () => {
    const login = loginOf();
    login.request(request('root', 'none'));
    for (let tries = 1; tries < 6; tries++) expect(failure(login.request(password('root', `${tries}`)))).toBeDefined();
    expect(login.request(password('root', '6'))).toEqual({
      seen: { kind: 'credentials', user: 'root', secret: '6' },
      refused: 'Too many authentication failures',
    });
  });
});

test('to ask for the methods is no failure once, and then it is', () => {
  const login = loginOf();
  for (let asked = 1; asked <= 6; asked++) expect(failure(login.request(request('root', 'none')))).toBeDefined();
  expect(login.request(request('root', 'none')).refused).toBe('Too many authentication failures');
});

describe('a public key', () => {
  test.each(['publickey', 'publickey-hostbound-v00@openssh.com'])('by %s is written down by its fingerprint', method => {
    const step = loginOf().request(publicKey('root', method));
    expect(step.seen).toEqual({ kind: 'fingerprint', name: 'ssh-key', value: 'ssh-ed25519 SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM' });
    expect(failure(step)).toBeDefined();
  });

  test('is a try', () => {
    const login = loginOf();
    for (let tries = 1; tries < 6; tries++) login.request(publicKey('root'));
    expect(login.request(publicKey('root')).refused).toBe('Too many authentication failures');
  });
});

describe('keyboard-interactive', () => {
  test('asks for a password', () => {
    const login = loginOf(interactive);
    expect(login.request(request('root', 'keyboard-interactive', sshString(''), sshString(''))).reply?.[0]).toBe(MESSAGE.questions);
    expect(login.response(answers('toor')).seen).toEqual({ kind: 'credentials', user: 'root', secret: 'toor' });
  });

  test('lets the weak login in', () => {
    const { user, secret } = interactive.weakLogin;
    const login = loginOf(interactive);
    login.request(request(user, 'keyboard-interactive', sshString(''), sshString('')));
    expect(login.response(answers(secret)).user).toBe(user);
  });

  test('is refused where it is off, and an answer that nobody asked for ends the session', () => {
    const login = loginOf(debian);
    expect(failure(login.request(request('root', 'keyboard-interactive', sshString(''), sshString(''))))).toBeDefined();
    expect(login.response(answers(weakSecret))).toEqual({ refused: 'incomplete message' });
  });
});

describe('what makes no sense ends the session', () => {
  test.each([
    ['another service', new SshLogin(debian).service(service('ssh-connection'))],
    ['a log-in before the service', new SshLogin(debian).request(password('root', 'x'))],
    ['a message cut short', loginOf().request(password('root', 'x').subarray(0, 30))],
    ['a password cut short', loginOf().request(password('root', 'secret').subarray(0, -1))],
    ['a password longer than sshd takes', loginOf().request(password('root', 'x'.repeat(1025)))],
    ['a thousand answers', loginOf(interactive).response(answers(...new Array<string>(1000).fill('x')))],
  ])('%s', (_what, step) => {
    expect(step.refused).toBeTypeOf('string');
    expect(step.reply).toBeUndefined();
  });

  test('another user in the same session', () => {
    const login = loginOf();
    login.request(password('root', 'x'));
    expect(login.request(password('admin', 'x'))).toEqual({
      refused: 'Change of username or service not allowed: (root,ssh-connection) -> (admin,ssh-connection)',
    });
  });
});
