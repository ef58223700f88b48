/** `npm run generate`: writes docs/reference/ from the schema and from commander's objects. A test fails where what is committed is not what this makes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { references } from './reference.ts';

const top = fileURLToPath(new URL('../../', import.meta.url));

for (const [path, text] of references()) {
  mkdirSync(dirname(`${top}${path}`), { recursive: true });
  writeFileSync(`${top}${path}`, text);
  process.stdout.write(`${path}\n`);
}
