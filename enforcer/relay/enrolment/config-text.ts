/** Writes `hub` into a configuration file: all else stays as it was written, comments too. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { parseDocument } from 'yaml';
import { parseConfig } from '../../config/load.ts';
import { problemText } from '../../config/problems.ts';
import type { HubOrder } from '../../control/operations.ts';
import { HoneyMeshError } from '../../errors.ts';

const REMARK = '# Written by "honeymesh hub enrol".';

/** The new text. Throws HM_CONFIG where the result would be no configuration. */
export function withHub(text: string, where: string, hub: HubOrder): string {
  const before = parseConfig(text, where);
  if (before.config === undefined)
    throw new HoneyMeshError('HM_CONFIG', before.problems.map(problemText).join('\n'), { fix: 'correct that first, and enrol again' });
  if (before.config.hub === undefined) {
    const separator = text === '' || text.endsWith('\n') ? '' : '\n';
    const appended = `${text}${separator}${text === '' ? '' : '\n'}${REMARK}\n${blockOf(hub)}`;
    if (parseConfig(appended, where).config?.hub !== undefined) return appended;
  }
  const document = parseDocument(text);
  if (isDeepStrictEqual((document.toJS() as { readonly hub?: unknown } | null)?.hub, JSON.parse(JSON.stringify(hub)))) return text;
  document.set('hub', document.createNode(hub));
  const written = document.toString({ lineWidth: 0 });
  const after = parseConfig(written, where);
  if (after.config !== undefined) return written;
  throw new HoneyMeshError('HM_CONFIG', after.problems.map(problemText).join('\n'), { fix: `write it into the file yourself:\n${blockOf(hub)}` });
}

export const blockOf = (hub: HubOrder): string =>
  `hub:\n${Object.entries(hub)
    .map(([key, value]) =>
      Array.isArray(value) ? `  ${key}:\n${value.map(one => `    - ${JSON.stringify(one)}\n`).join('')}` : `  ${key}: ${JSON.stringify(value)}\n`,
    )
    .join('')}`;
