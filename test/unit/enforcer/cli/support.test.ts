import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { type CliLab, openCliLab } from '#test/support/cli.ts';
import { banRow, eventRow, fakeOperations, statusReport } from '#test/support/fake-operations.ts';

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

const MESH_KEY = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
const WEBHOOK = 'https://hooks.example/services/T000/planted-webhook-url';
const SLACK = 'https://hooks.slack.com/services/T0/B0/planted-slack-url';
const SECRET = 'planted-webhook-secret';
const FILED = 'planted-secret-in-a-file';
const GUESSED = 'planted-guessed-password';
const JOIN = 'hmj1_planted-join-token';

test('a dump holds none of the secrets that were planted wherever they could be, and what a report needs', { timeout: 30_000 }, async () => {
  const [config, filed, out] = [join(lab.directory, 'c.yaml'), join(lab.directory, 'secret'), join(lab.directory, 'dump.json')];
  writeFileSync(filed, `${FILED}\n`);
  writeFileSync(
    config,
    `mesh: { key: "${MESH_KEY}" }\nnotify:\n  webhook: { url: "${WEBHOOK}", secret: "${SECRET}" }\n  slack: { urlFile: ${filed} }\nlog: { level: warn }\n`,
  );
  const hexKey = Buffer.from(MESH_KEY, 'base64').toString('hex');
  await lab.serve(
    fakeOperations({
      status: () =>
        Promise.resolve({
          ...statusReport,
          degraded: [
            { part: 'mesh', why: `key ${MESH_KEY} or ${hexKey} is wrong; ${FILED}`, fix: `honeymesh mesh join ${JOIN}` },
            {
              part: 'notify',
              why: `POST ${SLACK} and ${WEBHOOK}?x=1 with Authorization: Bearer planted-bearer-token`,
              fix: 'https://h:1/?token=planted-query-token',
            },
          ],
        }),
      listBans: () => Promise.resolve([{ ...banRow, note: `-----BEGIN PRIVATE KEY-----\nplanted-pem\n-----END PRIVATE KEY-----` }]),
      showConfig: () => Promise.resolve({ mesh: { key: MESH_KEY }, notify: { webhook: { url: WEBHOOK, secret: SECRET } }, token: 'planted-token-by-key' }),
      listEvents: () =>
        Promise.resolve([
          eventRow(3, { kind: 'credentials', summary: `tried root with ${GUESSED}`, detail: { credentials: [{ user: 'root', secret: GUESSED }] } }),
          eventRow(2, { kind: 'config', summary: `secret ${SECRET}` }),
        ]),
    }),
  );
  const { code, err } = await lab.run(`support dump --output ${out} --config ${config}`);
  expect(code, err).toBe(0);
  expect(err).toContain('look through it');
  const text = readFileSync(out, 'utf8');
  for (const secret of [MESH_KEY, hexKey, MESH_KEY.replace(/=+$/, ''), GUESSED, JOIN]) expect(text).not.toContain(secret);
  expect(text.match(/planted[\w-]*/g)).toBeNull();
  const dump = JSON.parse(text);
  expect(dump).toMatchObject({
    honeymesh: 'support-dump',
    machine: { version: '0.1.0', node: process.version },
    config: { log: { level: 'warn' }, notify: { webhook: { secret: '(set, not shown)' } } },
    daemon: { status: { mode: 'enforce' }, log: { lastId: 20_000 }, events: [{ id: 3 }, { id: 2 }] },
  });
  expect(dump.doctor.length).toBeGreaterThan(3);
  expect(statSync(out).mode & 0o777).toBe(0o600);
});

test('a dump without a daemon, and with a configuration that is wrong, says so and is written all the same', { timeout: 30_000 }, async () => {
  const [config, out] = [join(lab.directory, 'c.yaml'), join(lab.directory, 'dump.json')];
  writeFileSync(config, 'mode: enfroce\n');
  expect((await lab.run(`support dump --output ${out} --config ${config}`)).code).toBe(0);
  const dump = JSON.parse(readFileSync(out, 'utf8'));
  expect(dump.daemon.failed).toContain('no daemon answers');
  expect(JSON.stringify(dump.config)).toContain('enfroce');
});

test('what one question cannot learn does not keep the rest from being told', { timeout: 30_000 }, async () => {
  await lab.serve(fakeOperations({ listPeers: () => Promise.reject(new HoneyMeshError('HM_REFUSED', 'not now')) }));
  const { out } = await lab.run('support dump --output - --events 1');
  expect(JSON.parse(out).daemon).toMatchObject({ peers: { failed: 'not now' }, status: { mode: 'enforce' } });
  expect(readdirSync(lab.directory).filter(name => name.includes('support'))).toEqual([]);
});
