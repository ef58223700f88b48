import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseConfig } from '#enforcer/config/load.ts';
import { withHub } from '#enforcer/relay/enrolment/config-text.ts';
import { amazonRoots } from '#enforcer/relay/enrolment/key-and-request.ts';

const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
const hub = { endpoint: 'abc-ats.iot.eu-central-1.amazonaws.com', thing: 'h1', certificate: '/var/lib/c.pem', key: '/var/lib/k.pem', signers: [signer] };

test.each([
  ['a file with comments', '# mine\nmode: observe   # for now\n\nallow:\n  - 198.51.100.0/24\n'],
  ['a file without a last line break', 'mode: enforce'],
  ['no file', ''],
])('%s stays as it was, and gets the hub', (_what, text) => {
  const written = withHub(text, 'c', hub);
  expect(written.startsWith(text)).toBe(true);
  expect(parseConfig(written, 'c').config?.hub).toMatchObject({ thing: 'h1', endpoint: { host: hub.endpoint, port: 8883 } });
});

test('a file in braces gets it too', () => {
  const { config } = parseConfig(withHub('{ mode: observe, allow: [198.51.100.7] }\n', 'c', hub), 'c');
  expect(config).toMatchObject({ mode: 'observe', hub: { thing: 'h1' } });
});

test('a hub that was there is replaced, and the comments around it stay', () => {
  const before = withHub('# first\nmode: observe # second\n', 'c', hub);
  const after = withHub(before, 'c', { ...hub, thing: 'h2', ca: '/etc/ca.pem' });
  expect(after).toContain('# first');
  expect(after).toContain('# second');
  expect(parseConfig(after, 'c').config?.hub).toMatchObject({ thing: 'h2', ca: '/etc/ca.pem' });
  expect(withHub(after, 'c', { ...hub, thing: 'h2', ca: '/etc/ca.pem' })).toBe(after);
});

test('a file that is wrong is not touched', () => {
  expect(() => withHub('mode: nonsense\n', 'c', hub)).toThrow(/mode/);
});

test("Amazon's roots are at hand on a system that has none", () => {
  expect(amazonRoots().match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThanOrEqual(4);
});
