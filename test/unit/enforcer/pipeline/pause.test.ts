import { expect, test } from 'vitest';
import { createPause } from '#enforcer/pipeline/pause.ts';
import { createRig } from '#test/support/pipeline.ts';

test('a pause ends when it was to end, also where a daemon that started meanwhile did not order it', async () => {
  const rig = createRig();
  const until = await createPause(rig).set('5m');
  expect(until).toBe(rig.now() + 300_000);
  const next = createPause(rig);
  expect(next.until()).toBe(until);
  rig.pass(300_000);
  expect([next.until(), rig.kernel.pausedUntil()]).toEqual([null, null]);
});

test('an order ends a pause at once, whoever began it', async () => {
  const rig = createRig();
  await createPause(rig).set('5m');
  const next = createPause(rig);
  expect(await next.set('off')).toBeNull();
  expect([next.until(), rig.kernel.pausedUntil()]).toEqual([null, null]);
  expect(rig.store.events.map(event => event.summary)).toEqual([expect.stringContaining('paused until'), expect.stringContaining('enforcement is on')]);
});

test.each(['0s', '25h', '5', 'soon', ''])('"%s" is not how long a pause may be', async duration => {
  const rig = createRig();
  await expect(createPause(rig).set(duration)).rejects.toMatchObject({ code: 'HM_USAGE', fix: expect.stringMatching(/./) });
  expect(rig.kernel.pausedUntil()).toBeNull();
});
