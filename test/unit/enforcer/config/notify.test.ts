import { describe, expect, test } from 'vitest';
import { parseConfig } from '#enforcer/config/load.ts';
import { problemText } from '#enforcer/config/problems.ts';
import { fileOf, withoutSecrets } from '#enforcer/config/units.ts';

const read = (text: string) => parseConfig(text, 'c.yaml');
const problems = (text: string): string => read(text).problems.map(problemText).join('\n');

describe('notify', () => {
  test('is off where nobody speaks of it, and has defaults where somebody does', () => {
    expect(read('mode: enforce').config).not.toHaveProperty('notify');
    expect(read('notify: { syslog: { server: logs.example } }').config?.notify).toEqual({
      kinds: ['ban', 'degraded', 'auth'],
      gatherMs: 2_000,
      everyMs: 300_000,
      syslog: { server: { host: 'logs.example', port: 6514 }, transport: 'tls', facility: 'auth' },
    });
  });

  test.each([
    ['udp', 514],
    ['tcp', 601],
    ['tls', 6514],
  ])('syslog over %s goes to port %i unless another is said', (transport, port) => {
    expect(read(`notify: { syslog: { server: "2001:db8::1", transport: ${transport} } }`).config?.notify?.syslog?.server).toEqual({
      host: '2001:db8::1',
      port,
    });
    expect(read(`notify: { syslog: { server: "h:1514", transport: ${transport} } }`).config?.notify?.syslog?.server.port).toBe(1514);
  });

  test('read again gives the same', () => {
    const { config } = read(
      'notify: { every: 90s, kinds: [ban], webhook: { urlFile: /u, secret: sixteen characters, ca: /ca }, slack: { url: "https://h/x" }, syslog: { server: h, transport: udp } }',
    );
    expect(config).toBeDefined();
    if (config !== undefined) expect(read(JSON.stringify(fileOf(config))).config).toEqual(config);
  });

  test('shows neither secrets nor addresses of hooks', () => {
    const { config } = read(
      'notify: { webhook: { url: "https://h.example/planted", secret: planted-secret-text }, slack: { url: "https://h.example/planted" } }',
    );
    if (config === undefined) throw new Error('it is right');
    expect(JSON.stringify(withoutSecrets(config))).not.toContain('planted');
    expect(JSON.stringify(fileOf(withoutSecrets(config)))).toContain('(set, not shown)');
  });

  test.each([
    ['webhook: { secret: sixteen characters }', 'either url or urlFile'],
    ['webhook: { url: "https://h/planted", urlFile: /x, secret: sixteen characters }', 'either url or urlFile'],
    ['webhook: { url: "https://h/planted" }', 'either secret or secretFile'],
    ['webhook: { url: "https://h/planted", secret: planted }', 'shorter than 16'],
    ['webhook: { url: "http://192.0.2.1/planted", secret: planted-secret-text }', 'https://'],
    ['webhook: { url: "file:///planted", secret: planted-secret-text }', 'https://'],
    ['slack: { url: planted }', 'https://'],
    ['slack: { url: [planted] }', 'no URL'],
    ['slack: { urlFile: relative }', 'absolute path'],
    ['syslog: { server: "h:0" }', 'give a name or an address'],
    ['syslog: { transport: tls }', 'server'],
    ['kinds: [bann]', 'did you mean ban?'],
  ])('refuses %s without showing a secret', (text, why) => {
    const said = problems(`notify: { ${text} }`);
    expect(said).toContain(why);
    expect(said).not.toContain('planted');
  });
});
