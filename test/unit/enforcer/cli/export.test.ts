import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliLab, openCliLab } from '#test/support/cli.ts';
import { fakeOperations } from '#test/support/fake-operations.ts';

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

test('export to a file writes its proof beside it, to standard output only where it is named', async () => {
  await lab.serve(fakeOperations());
  const file = join(lab.directory, 'out.csv');
  const { err } = await lab.run(`events export --format csv --port 22 --output ${file}`);
  expect(err).toContain(`its proof to ${file}.proof.json`);
  const proof = JSON.parse(readFileSync(`${file}.proof.json`, 'utf8'));
  expect(proof).toMatchObject({ format: 'csv', filters: { port: 22 }, events: { count: 3, firstId: 3, lastId: 1 }, log: { lastId: 20_000 } });
  expect(proof.sha256).toBe(createHash('sha256').update(readFileSync(file)).digest('hex'));
  const named = join(lab.directory, 'named.json');
  expect((await lab.run(`events export --proof ${named}`)).out).not.toContain('export-proof');
  expect(JSON.parse(readFileSync(named, 'utf8'))).toMatchObject({ format: 'ndjson' });
});
