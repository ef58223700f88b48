/** The OpenAPI document, made from the contracts that the routes are served from. */
import type { FastifyPluginAsync } from 'fastify';
import * as z from 'zod';
import { VERSION } from '../../version.ts';
import { allowContracts } from './allow.ts';
import { banContracts } from './bans.ts';
import type { Contract, Contracts } from './contract.ts';
import { eventContracts } from './events.ts';
import { exportContracts } from './exports.ts';
import { metricsContracts } from './metrics.ts';
import { PROBLEM_TYPE } from './problems.ts';
import { problem } from './schemas.ts';
import { type Serving, serve } from './serve.ts';
import { statusContracts } from './status.ts';
import { tokenContracts } from './token.ts';

export const openApiContracts = {
  document: { name: 'openApi', method: 'GET', path: '/api/openapi.json', about: 'This document', answer: z.record(z.string(), z.unknown()) },
} as const satisfies Contracts;

const GROUPS: Readonly<Record<string, Contracts>> = {
  status: statusContracts,
  bans: banContracts,
  allow: allowContracts,
  events: { ...eventContracts, export: exportContracts.events },
  token: tokenContracts,
  metrics: metricsContracts,
  document: openApiContracts,
};

type Json = Readonly<Record<string, unknown>>;

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12', unrepresentable: 'any' }) as Json;
  return rest;
};

/** OpenAPI 3.1, whose schemas are JSON Schema 2020-12. */
export function openApiDocument(): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const [tag, contracts] of Object.entries(GROUPS)) {
    for (const contract of Object.values(contracts)) {
      const path = paths[contract.path] ?? {};
      path[contract.method.toLowerCase()] = operationOf(contract, tag);
      paths[contract.path] = path;
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'HoneyMesh',
      version: VERSION,
      description: "One host's enforcer: what it sees, what it bans, and the orders that it takes. HTTPS only; errors are RFC 9457 problem details.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }, { header: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The token: 64 hexadecimal digits' },
        header: { type: 'apiKey', in: 'header', name: 'X-HoneyMesh-Token' },
        query: { type: 'apiKey', in: 'query', name: 'token', description: 'Downloads only: a browser can set no header there' },
      },
      schemas: { Problem: schemaOf(problem, 'output') },
    },
  };
}

function operationOf(contract: Contract, tag: string): Json {
  const { name, about, query, body, answer, download, loopback } = contract;
  const parameters = query === undefined ? [] : parametersOf(schemaOf(query, 'input'));
  const content = typeof answer === 'string' ? { [answer]: { schema: { type: 'string' } } } : { 'application/json': { schema: schemaOf(answer, 'output') } };
  const security = [{ bearer: [] }, { header: [] }, ...(download === true ? [{ query: [] }] : []), ...(loopback === true ? [{}] : [])];
  return {
    operationId: name,
    summary: about,
    tags: [tag],
    ...(download === true || loopback === true ? { security } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    responses: {
      200: { description: 'Done', content },
      default: { description: 'It was not done', content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } } },
    },
  };
}

function parametersOf({ properties, required }: Json): readonly Json[] {
  const needed = new Set((required ?? []) as readonly string[]);
  return Object.entries((properties ?? {}) as Readonly<Record<string, Json>>).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: needed.has(name),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

export function openApiPlugin(serving: Serving): FastifyPluginAsync {
  return async app => {
    const document = openApiDocument();
    serve(app, openApiContracts.document, () => Promise.resolve({ ...document }), serving);
  };
}
