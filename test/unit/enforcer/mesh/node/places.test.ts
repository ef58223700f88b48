import { describe, expect, test } from 'vitest';
import { hasAddress, isAnywhere } from '#enforcer/mesh/node/listen.ts';
import { endpointFrom, hostOf, parseTarget, textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import { MOST_ENDPOINTS, resolveTargets } from '#enforcer/mesh/node/resolve.ts';

test.each([
  ['0.0.0.0', true],
  ['::', true],
  ['127.0.0.1', false],
  ['mesh.example.org', false],
])('%s is anywhere: %s', (bind, expected) => {
  expect(isAnywhere(bind)).toBe(expected);
});

test('this host has its own addresses, and not those of others', () => {
  expect([hasAddress('127.0.0.1'), hasAddress('203.0.113.1')]).toEqual([true, false]);
});

describe('entries of a join list', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1', 7946],
    ['10.0.0.1:8000', '10.0.0.1', 8000],
    ['mesh.example.org', 'mesh.example.org', 7946],
    ['mesh.example.org:8000', 'mesh.example.org', 8000],
    ['web-7/10.0.0.1:8000', '10.0.0.1', 8000],
    ['2001:db8::7', '2001:db8::7', 7946],
    ['[2001:db8::7]', '2001:db8::7', 7946],
    ['[2001:db8::7]:8000', '2001:db8::7', 8000],
    ['::1', '::1', 7946],
  ])('%s is %s port %i', (text, host, port) => {
    expect(parseTarget(text)).toEqual({ ok: true, value: { host, port } });
  });

  test.each(['', ':7946', '10.0.0.1:0', '10.0.0.1:65536', '10.0.0.1:', '10.0.0.1:http', '[mesh]:7946', '[]:1', 'name/', 'x'.repeat(601)])(
    '%j is none',
    text => {
      expect(parseTarget(text).ok).toBe(false);
    },
  );
});

describe('addresses', () => {
  test('an IPv4 peer has 4 bytes, also as a socket of both families shows it', () => {
    expect(endpointFrom('192.0.2.7', 1)).toEqual({ address: Uint8Array.of(192, 0, 2, 7), port: 1 });
    expect(endpointFrom('::ffff:192.0.2.7', 1)).toEqual({ address: Uint8Array.of(192, 0, 2, 7), port: 1 });
  });

  test('both forms of an IPv4 address, as Go tells them, are dialled alike', () => {
    const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7);
    expect(hostOf({ address: mapped, port: 1 })).toBe('192.0.2.7');
    expect(textOfEndpoint({ address: Uint8Array.of(192, 0, 2, 7), port: 1 })).toBe('192.0.2.7:1');
  });

  test('an IPv6 address has 16 bytes and stands in brackets; its zone is not told', () => {
    const endpoint = endpointFrom('fe80::1%eth0', 7946);
    expect(endpoint?.address).toHaveLength(16);
    expect(endpoint === null ? '' : textOfEndpoint(endpoint)).toBe('[fe80::1]:7946');
    expect(endpointFrom('nobody', 1)).toBeNull();
  });
});

describe('resolving', () => {
  const options = { defaultPort: 7946, timeoutMs: 5000 };

  test('every address of every name, each once, and who failed', async () => {
    const { endpoints, failed } = await resolveTargets(['mesh', '10.0.0.2', '10.0.0.1:7946', 'nowhere', ':'], options, async host => {
      if (host === 'nowhere') throw new Error('ENOTFOUND');
      return [{ address: '10.0.0.1' }, { address: '2001:db8::1' }];
    });
    expect(endpoints.map(textOfEndpoint).sort()).toEqual(['10.0.0.1:7946', '10.0.0.2:7946', '[2001:db8::1]:7946']);
    expect(failed).toEqual(
      expect.arrayContaining([
        { target: 'nowhere', why: 'unresolved' },
        { target: ':', why: 'no-host' },
      ]),
    );
  });

  test('a resolver that never answers keeps nobody from the others', async () => {
    const { endpoints, failed } = await resolveTargets(['stuck', '10.0.0.2'], { ...options, timeoutMs: 5 }, () => new Promise(() => undefined));
    expect(endpoints).toHaveLength(1);
    expect(failed).toEqual([{ target: 'stuck', why: 'timeout' }]);
  });

  test('a name of thousands of addresses does not make us dial thousands', async () => {
    const many = Array.from({ length: 1000 }, (_, at) => ({ address: `10.0.${at >> 8}.${at & 255}` }));
    expect((await resolveTargets(['mesh'], options, async () => many)).endpoints).toHaveLength(MOST_ENDPOINTS);
  });
});
