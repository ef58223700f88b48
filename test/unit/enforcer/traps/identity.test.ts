import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keepIdentity } from '#enforcer/traps/identity.ts';
import { createPersona } from '#enforcer/traps/protocols/persona.ts';

const NOW = unixMs(Date.UTC(2026, 10, 24));
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'identity-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const file = (): string => join(directory, 'trap-identity.json');

test('it is made once and is the same at each start; nobody else can read it', async () => {
  const first = await keepIdentity(directory, NOW);
  expect(first.complaint).toBeUndefined();
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(await keepIdentity(directory, unixMs(NOW + DAY_MS))).toEqual(first);
  expect(readdirSync(directory)).toEqual(['trap-identity.json']);
});

test("the certificate is the persona's, made some time ago, and that of the key", async () => {
  const { identity } = await keepIdentity(directory, NOW);
  const { certificate: subject, fullName } = createPersona(Buffer.from(identity.seed, 'base64'));
  const certificate = new X509Certificate(identity.tlsCertificate);
  expect(certificate.checkPrivateKey(createPrivateKey(identity.tlsKey))).toBe(true);
  expect(certificate.subject).toBe(`C=${subject.country}\nO=${subject.organisation}\nCN=${subject.commonName}`);
  expect(certificate.issuer).toBe(certificate.subject);
  expect(certificate.checkHost(fullName)).toBe(fullName);
  expect(certificate.validFromDate.getTime()).toBeLessThan(NOW - 39 * DAY_MS);
  expect(certificate.validToDate.getTime()).toBeGreaterThan(NOW + 300 * DAY_MS);
});

test('its ssh keys are one of each kind, as ssh2 reads them', async () => {
  const { identity } = await keepIdentity(directory, NOW);
  const kinds = identity.sshHostKeys.map(key => {
    const parsed = ssh2.utils.parseKey(key);
    if (parsed instanceof Error) throw parsed;
    return [parsed].flat()[0]?.type;
  });
  expect(kinds).toEqual(['ssh-rsa', 'ecdsa-sha2-nistp256', 'ssh-ed25519']);
});

describe('a damaged file is set aside, a new identity is made, and the operator is told:', () => {
  test.each([
    ['a torn one', (text: string) => text.slice(0, text.length / 2)],
    ['an empty one', () => ''],
    ['no JSON', () => '\0\0\0\0'],
    ['null', () => 'null'],
    ['a flipped bit in the seed', (text: string) => text.replace(/"seed": "(.)/, (_all, first: string) => `"seed": "${first === 'A' ? 'B' : 'A'}`)],
    ['a part that is missing', (text: string) => text.replace('"tlsKey"', '"tlsKye"')],
    ['one that is far too large', (text: string) => text + ' '.repeat(100_000)],
  ])('%s', async (_, damage) => {
    const first = await keepIdentity(directory, NOW);
    writeFileSync(file(), damage(readFileSync(file(), 'utf8')));
    const second = await keepIdentity(directory, NOW);
    expect(second.complaint?.why).toMatch(/^the traps' identity was damaged \(.+\): they look like another host now$/);
    expect(second.complaint?.fix).toContain(`${file()}.damaged-${NOW}`);
    expect(second.identity.seed).not.toBe(first.identity.seed);
    expect(readdirSync(directory).sort()).toEqual(['trap-identity.json', `trap-identity.json.damaged-${NOW}`]);
    expect(await keepIdentity(directory, NOW)).toEqual({ identity: second.identity });
  });
});

test('where it cannot be kept the traps have one all the same, and the operator is told', async () => {
  const { identity, complaint } = await keepIdentity(join(directory, 'missing'), NOW);
  expect(identity.seed).toHaveLength(44);
  expect(complaint?.why).toMatch(/cannot be kept/);
});

test('a draft that a start left behind is in nobody’s way', async () => {
  writeFileSync(`${file()}.new`, 'half');
  chmodSync(`${file()}.new`, 0o400);
  expect((await keepIdentity(directory, NOW)).complaint).toBeUndefined();
});
