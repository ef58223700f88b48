import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { openRoot, readRootFile, sealRoot } from '#enforcer/mesh/registrar/root-file.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { CLUSTER, secretOf } from '#test/support/hm1.ts';

/** A thousandth of the real cost: the tests open it often. */
const CHEAP = 10;
const root = { clusterId: CLUSTER, secret: secretOf('root') };
const text = await sealRoot(root, 'correct horse', CHEAP);

describe("the root's file", () => {
  test('gives the root to who has the passphrase, in whichever form of Unicode it is typed', async () => {
    expect(await openRoot(text, 'correct horse')).toEqual({ ok: true, value: root });
    expect(await openRoot(await sealRoot(root, 'caf\u00e9', CHEAP), 'cafe\u0301')).toEqual({ ok: true, value: root });
  });

  test('gives nothing to who has another passphrase', async () => {
    expect(await openRoot(text, 'correct horse ')).toEqual({ ok: false, why: 'wrong-passphrase' });
  });

  test('says in clear whose root it is and holds no secret in clear', () => {
    expect(readRootFile(text)).toEqual({ ok: true, value: { clusterId: CLUSTER, rootPublic: edPublicOf(root.secret) } });
    for (const form of ['hex', 'base64', 'base64url'] as const) expect(text).not.toContain(Buffer.from(root.secret).toString(form));
  });

  test('is never sealed the same way twice', async () => {
    expect(await sealRoot(root, 'correct horse', CHEAP)).not.toBe(text);
  });

  test('of which a field was changed is not opened', async () => {
    const file = JSON.parse(text);
    const other = Buffer.from(secretOf('other')).toString('base64');
    expect(await openRoot(JSON.stringify({ ...file, rootPublic: other }), 'correct horse')).toEqual({ ok: false, why: 'wrong-passphrase' });
    expect(await openRoot(JSON.stringify({ ...file, clusterId: other.slice(0, 20) }), 'correct horse')).toMatchObject({ ok: false });
    expect(await openRoot(JSON.stringify({ ...file, scrypt: { ...file.scrypt, cost: 30 } }), 'correct horse')).toEqual({ ok: false, why: 'damaged' });
    expect(await openRoot(JSON.stringify({ ...file, version: 2 }), 'correct horse')).toEqual({ ok: false, why: 'other-version' });
  });

  test('that was cut, or is another file, is told for what it is', () => {
    expect(readRootFile(text.slice(0, -30))).toEqual({ ok: false, why: 'damaged' });
    expect(readRootFile('interfaces: [eth0]')).toEqual({ ok: false, why: 'not-a-root-file' });
    expect(readRootFile('{}')).toEqual({ ok: false, why: 'not-a-root-file' });
  });

  test.prop([fc.json()])('that is any JSON never throws', json => {
    expect(readRootFile(json).ok).toBe(false);
  });
});
