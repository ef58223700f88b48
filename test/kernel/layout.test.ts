/** The layouts that the TypeScript codecs assume, against what the object's BTF says of the C structs; the maps against the object. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { STATS_ROWS } from '#enforcer/kernel/codecs.ts';
import { LAYOUTS, MAP_NAMES, MAPS } from '#enforcer/kernel/layouts.ts';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { COUNTERS, VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { build } from '#enforcer/launch/setup/build.mjs';

beforeAll(() => {
  build();
});

describe('structs', () => {
  test.for(Object.entries(LAYOUTS))('%s lies in memory as the codecs read it', ([name, layout]) => {
    const { size, fields } = mustHave(addon().structLayout(PARTS.program, name), 'HM_BPF_LOAD', `reading the layout of ${name}`);
    expect({ size, fields: Object.fromEntries(fields.map(field => [field.name, [field.offset, field.size]])) }).toEqual({
      size: layout.size,
      fields: layout.fields,
    });
  });

  test('every struct of the header that user space sees is in the table', () => {
    const header = readFileSync(new URL('../../bpf/honeymesh_structs.h', import.meta.url), 'utf8');
    const structs = [...header.matchAll(/^struct (hm_\w+) \{/gm)].map(match => match[1]);
    expect(structs.toSorted()).toEqual(Object.keys(LAYOUTS).toSorted());
  });

  test('a struct that is not there is an error, not a layout', () => {
    expect(addon().structLayout(PARTS.program, 'hm_nothing')).toBe(-2);
    expect(addon().structLayout('/nonexistent', 'hm_ban')).toBeLessThan(0);
  });
});

describe('maps', () => {
  const maps = () => mustHave(addon().objectMaps(PARTS.program), 'HM_BPF_LOAD', 'reading the object');

  test.for(MAP_NAMES)('%s has the keys and values of the table', name => {
    const map = maps().find(each => each.name === name);
    expect({ keySize: map?.keySize, valueSize: map?.valueSize }).toEqual(MAPS[name]);
  });

  test('stats has a row for every verdict in every bank, and for the counters', () => {
    expect(maps().find(each => each.name === 'stats')?.maxEntries).toBe(STATS_ROWS);
    expect(STATS_ROWS).toBeGreaterThanOrEqual(VERDICTS.length * 3 + COUNTERS.length);
  });
});
