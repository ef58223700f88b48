/** Who is never dropped, and why an address is treated as it is. */
import type { FastifyPluginAsync } from 'fastify';
import * as z from 'zod';
import { maskReport } from '../../control/masking.ts';
import type { Operations } from '../../control/operations.ts';
import { withoutAbsent } from './bans.ts';
import type { Contracts } from './contract.ts';
import { allowRow, asked, explainReport } from './schemas.ts';
import { type Serving, serve } from './serve.ts';

export const allowContracts = {
  list: {
    name: 'listAllowed',
    method: 'GET',
    path: '/api/allow',
    about: 'Who is never dropped, each with the reason',
    answer: z.array(allowRow).readonly(),
  },
  add: {
    name: 'addAllowed',
    method: 'POST',
    path: '/api/allow',
    about: 'Allows by order; lifts a ban of it',
    body: z.strictObject({ target: asked.target, note: asked.note.optional() }),
    answer: allowRow,
  },
  remove: {
    name: 'removeAllowed',
    method: 'DELETE',
    path: '/api/allow',
    about: 'Takes an order back; what the configuration allows is taken out there',
    query: z.strictObject({ target: asked.target }),
    answer: z.object({ removed: z.array(z.string()).readonly() }),
  },
  explain: {
    name: 'explain',
    method: 'GET',
    path: '/api/explain',
    about: 'Why an address is treated as it is: verdict, ban, what the kernel holds, the chain of reasons, what was said in the traps, what would lift it',
    query: z.strictObject({
      address: z.string().min(1).max(64),
      mask: asked.flag.default(false).meta({ description: 'Without the passwords that it guessed, to pass on' }),
    }),
    answer: explainReport,
  },
} as const satisfies Contracts;

export function allowPlugin(operations: Pick<Operations, 'listAllowed' | 'addAllowed' | 'removeAllowed' | 'explain'>, serving: Serving): FastifyPluginAsync {
  return async app => {
    serve(app, allowContracts.list, () => operations.listAllowed(), serving);
    serve(app, allowContracts.add, ({ body }) => operations.addAllowed(withoutAbsent(body)), serving);
    serve(app, allowContracts.remove, ({ query }) => operations.removeAllowed(query), serving);
    serve(
      app,
      allowContracts.explain,
      async ({ query: { address, mask } }) => {
        const report = await operations.explain({ address });
        return mask ? maskReport(report) : report;
      },
      serving,
    );
  };
}
