import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliLab, openCliLab } from '#test/support/cli.ts';
import { fakeOperations } from '#test/support/fake-operations.ts';

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

test('rotate shows the new token, once, and says what became of the old one', async () => {
  const operations = fakeOperations();
  await lab.serve(operations);
  expect((await lab.run('token rotate')).out).toBe(`token       ${'ab'.repeat(32)} (shown once)\nformer one  dead\ndashboard   https://127.0.0.1:8443/\n`);
  await lab.run('token rotate --grace 5m -o json');
  expect(operations.asked).toMatchObject([
    { op: 'tokenRotate', args: {} },
    { op: 'tokenRotate', args: { grace: '5m' } },
  ]);
});

test('status tells where it is, since when the token holds, and who was not let in', async () => {
  await lab.serve(fakeOperations());
  const { out } = await lab.run('token status');
  expect(out).toMatch(/^dashboard +https:\/\/127\.0\.0\.1:8443\/$/m);
  expect(out).toMatch(/^certificate +SHA-256 AB:CD$/m);
  expect(out).toMatch(/^not let in +1 wrong tokens, 2 without one, 0 while limited; 0 times evidence$/m);
});

test('a grace without a unit is a mistake on the line', async () => {
  await lab.serve(fakeOperations());
  expect(await lab.run('token rotate --grace 5')).toMatchObject({ code: 2, out: '' });
});
