import { expect, test } from 'vitest';
import { openApiDocument } from '#enforcer/dashboard/api/openapi.ts';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: object }[];
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { readonly schema: object }>> }>>;
}

const document = openApiDocument() as { openapi: string; paths: Record<string, Record<string, Operation>> };
const operations = Object.values(document.paths).flatMap(methods => Object.values(methods));

test('each operation has a name of its own, says what it does, what comes back, and how a failure looks', () => {
  expect(document.openapi).toBe('3.1.0');
  expect(new Set(operations.map(one => one.operationId)).size).toBe(operations.length);
  for (const { operationId, summary, responses } of operations) {
    expect(summary.length, operationId).toBeGreaterThan(10);
    expect(Object.keys(responses), operationId).toEqual(['200', 'default']);
    expect(Object.keys(responses.default?.content ?? {})).toEqual(['application/problem+json']);
    for (const { schema } of Object.values(responses['200']?.content ?? {})) expect(Object.keys(schema).length, operationId).toBeGreaterThan(0);
  }
});

test('parameters are those of a query, bounded where they are texts or numbers, and what has a default need not be given', () => {
  for (const { operationId, parameters = [] } of operations) {
    for (const { name, in: place, required, schema } of parameters) {
      const { type, maxLength, maximum, enum: words, default: standard } = schema as Record<string, unknown>;
      expect(place, `${operationId} ${name}`).toBe('query');
      if (type === 'string' && words === undefined) expect(maxLength, `${operationId} ${name}`).toBeGreaterThan(0);
      if (type === 'integer' || type === 'number') expect(maximum, `${operationId} ${name}`).toBeGreaterThan(0);
      if (standard !== undefined) expect(required, `${operationId} ${name}`).toBe(false);
    }
  }
});

test('every reference leads somewhere, and no token and no address of a host is in it', () => {
  const text = JSON.stringify(document);
  for (const [, path = ''] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = path.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    expect(found, path).toBeDefined();
  }
  expect(text).not.toMatch(/[0-9a-f]{64}/);
});
