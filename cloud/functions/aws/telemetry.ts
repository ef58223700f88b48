import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';

/** What may be a metric's label: words of ours, never an address or a host's name. */
export interface Telemetry {
  /** Counts, by kind and, where given, by one of our reasons. */
  count(what: string, by?: ReadonlyMap<string, number> | number): void;
  info(what: string, fields: Readonly<Record<string, string | number | boolean>>): void;
  warn(what: string, fields: Readonly<Record<string, string | number | boolean>>): void;
  error(what: string, thrown: unknown): void;
  /** At the end of each event. */
  flush(): void;
}

/** Structured logs and CloudWatch metrics on standard output: no request more. */
export function awsTelemetry(service: string): Telemetry {
  const logger = new Logger({ serviceName: service });
  const metrics = new Metrics({ namespace: process.env.POWERTOOLS_METRICS_NAMESPACE ?? 'HoneyMesh', serviceName: service });
  return {
    count(what, by = 1) {
      if (typeof by === 'number') {
        if (by > 0) metrics.addMetric(what, MetricUnit.Count, by);
        return;
      }
      let total = 0;
      for (const [reason, number] of by) {
        total += number;
        const one = metrics.singleMetric();
        one.addDimension('reason', reason);
        one.addMetric(what, MetricUnit.Count, number);
      }
      if (total > 0) metrics.addMetric(what, MetricUnit.Count, total);
    },
    info: (what, fields) => logger.info(what, fields),
    warn: (what, fields) => logger.warn(what, fields),
    error: (what, thrown) => logger.error(what, thrown instanceof Error ? thrown : new Error(String(thrown))),
    flush: () => {
      if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
    },
  };
}
