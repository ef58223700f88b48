import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createLab } from '#test/support/namespaces.ts';

test('two linked namespaces reach each other over IPv4 and IPv6 and are gone afterwards', async () => {
  let path: string;
  {
    using lab = createLab();
    const here = lab.namespace('here');
    const there = lab.namespace('there');
    lab.link(
      { namespace: here, device: 'eth0', addresses: ['10.9.0.1/24', 'fd09::1/64'] },
      { namespace: there, device: 'eth0', addresses: ['10.9.0.2/24', 'fd09::2/64'] },
    );
    expect((await here.run(['ping', '-c1', '-W2', '10.9.0.2'])).code).toBe(0);
    expect((await here.run(['ping', '-c1', '-W2', 'fd09::2'])).code).toBe(0);
    there.start(['sleep', '60']);
    path = here.path;
    expect(existsSync(path)).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});

test('a command that fails rejects with its output, or resolves with its code where it may fail', async () => {
  using lab = createLab();
  const here = lab.namespace('here');
  await expect(here.run(['sh', '-c', 'echo broken >&2; exit 3'])).rejects.toThrow(/ended with 3[\s\S]*broken/);
  expect(await here.run(['sh', '-c', 'exit 3'], { mayFail: true })).toMatchObject({ code: 3 });
  expect(await here.run(['sleep', '5'], { mayFail: true, timeoutMs: 100 })).toMatchObject({ code: 137 });
});
