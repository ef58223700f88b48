/** Metrics for Prometheus. */
import type { FastifyPluginAsync } from 'fastify';
import type { Metrics } from '../../health/metrics.ts';
import type { Contracts } from './contract.ts';
import { type Serving, serve } from './serve.ts';

export const metricsContracts = {
  metrics: {
    name: 'metrics',
    method: 'GET',
    path: '/metrics',
    about: 'For Prometheus, in its text format; from the host itself without a token',
    answer: 'text/plain; version=0.0.4; charset=utf-8',
    loopback: true,
  },
} as const satisfies Contracts;

export function metricsPlugin(metrics: Metrics, serving: Serving): FastifyPluginAsync {
  return async app => {
    serve(app, metricsContracts.metrics, () => metrics.text(), serving);
  };
}
