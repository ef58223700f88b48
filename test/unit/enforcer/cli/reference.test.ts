import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { references } from '#enforcer/cli/reference.ts';
import { leafKeys } from '#enforcer/config/load.ts';

const top = fileURLToPath(new URL('../../../../', import.meta.url));

describe('docs/reference is what the code says (else: npm run generate)', () => {
  test.each(references().map(([path, text]) => ({ path, text })))('$path', ({ path, text }) => {
    expect(readFileSync(`${top}${path}`, 'utf8')).toBe(text);
  });

  test('and every key is in the page, with what it does', () => {
    const page = readFileSync(`${top}docs/reference/config.md`, 'utf8');
    for (const key of leafKeys()) expect(page).toMatch(new RegExp(`^\\| \`${key.replaceAll('.', '\\.')}\` \\| [^|]+ \\| [^|]* \\| [^|]{10,}`, 'm'));
  });
});
