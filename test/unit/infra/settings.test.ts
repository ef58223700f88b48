import { describe, expect, test } from 'vitest';
import { readSettings } from '#infra/settings.ts';
import { CONTEXT } from '#test/support/cloud/hub-template.ts';

const read = (context: Readonly<Record<string, unknown>>) => readSettings(key => ({ ...CONTEXT, ...context })[key]);

describe('the settings of a hub', () => {
  test('need the cluster and the root, and have a default for all else', () => {
    expect(read({})).toMatchObject({ name: 'honeymesh', onDelete: 'retain', enforceSsl: true, architecture: 'arm64', logDays: 30 });
    expect(() => readSettings(() => undefined)).toThrow(/cluster: .*\n {2}root: /);
  });

  test('come as words from the command line', () => {
    expect(read({ enforceSsl: 'false', budget: '250', digestMinutes: '5' })).toMatchObject({ enforceSsl: false, budget: 250, digestMinutes: 5 });
  });

  test.each([
    ['name', 'Honey Mesh'],
    ['region', 'Frankfurt'],
    ['cluster', 'XYZ'],
    ['root', 'ab'],
    ['fleetRanges', 'example.org'],
    ['quorumSites', '1'],
    ['quarantineAfter', '0'],
    ['architecture', 'mips'],
    ['onDelete', 'maybe'],
    ['logDays', '31'],
    ['enforceSsl', 'no'],
    ['mail', 'nobody'],
    ['budget', '-1'],
  ])('%s is not %j', (key, value) => {
    expect(() => read({ [key]: value })).toThrow(new RegExp(`\\n {2}${key}: `));
  });
});
