/** The token: since when it holds, and another one in its place. */
import { formatDuration, HOUR_MS, parseDuration, rfc3339 } from '@honeymesh/intel/time';
import type { FastifyPluginAsync } from 'fastify';
import * as z from 'zod';
import { HoneyMeshError } from '../../errors.ts';
import type { TokenKeeper } from '../token-keeper.ts';
import type { Contracts } from './contract.ts';
import { instant } from './schemas.ts';
import { type Serving, serve } from './serve.ts';

export const tokenContracts = {
  state: {
    name: 'tokenState',
    method: 'GET',
    path: '/api/token',
    about: 'Since when the token holds',
    answer: z.object({ since: instant, formerUntil: instant.nullable().meta({ description: 'Until when the one before it holds, too' }) }),
  },
  rotate: {
    name: 'rotateToken',
    method: 'POST',
    path: '/api/token/rotate',
    about: 'Makes a new token and ends the one in use at once, its live feeds too; the new one is shown in this answer and nowhere else',
    body: z.strictObject({ grace: z.string().max(32).optional().meta({ description: 'So long the former one holds, too: 24h at most; for a fleet' }) }),
    answer: z.object({ token: z.string(), formerUntil: instant.nullable() }),
  },
} as const satisfies Contracts;

const LONGEST_GRACE_MS = 24 * HOUR_MS;

/** `0s` without one. Throws HM_USAGE. */
export function readGrace(text: string | undefined): number {
  if (text === undefined) return 0;
  const read = parseDuration(text);
  if (read.ok && read.value <= LONGEST_GRACE_MS) return read.value;
  throw new HoneyMeshError('HM_USAGE', `${JSON.stringify(text.slice(0, 32))} is not how long a former token may hold`, {
    fix: `give 0s to ${formatDuration(LONGEST_GRACE_MS)}, such as 5m`,
  });
}

export interface TokenPluginDeps {
  readonly tokens: TokenKeeper;
  /** Rotates and says so in the log. */
  readonly rotate: (graceMs: number) => ReturnType<TokenKeeper['rotate']>;
}

export function tokenPlugin({ tokens, rotate }: TokenPluginDeps, serving: Serving): FastifyPluginAsync {
  return async app => {
    serve(
      app,
      tokenContracts.state,
      async () => {
        const { since, formerUntil } = tokens.state();
        return { since: rfc3339(since), formerUntil: formerUntil === null ? null : rfc3339(formerUntil) };
      },
      serving,
    );
    serve(
      app,
      tokenContracts.rotate,
      async ({ body }) => {
        const { token, formerUntil } = await rotate(readGrace(body.grace));
        return { token, formerUntil: formerUntil === null ? null : rfc3339(formerUntil) };
      },
      serving,
    );
  };
}
