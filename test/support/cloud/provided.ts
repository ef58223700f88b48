/** What the set-up of the suite `cloud` hands to its tests. Plain values: they cross a process. */
import { inject } from 'vitest';

export interface Deployed {
  readonly endpoint: string;
  readonly outputs: Readonly<Record<string, string>>;
  /** Physical ids by logical ids. */
  readonly resources: Readonly<Record<string, string>>;
}

export interface Cloud {
  readonly ministack: Deployed & { readonly mqttHost: string; readonly mqttPort: number; readonly ca: string };
  readonly localstack: Deployed;
  readonly mosquitto: string;
  /** What `cdk synth` wrote. */
  readonly assembly: string;
  /** The cluster's offline root, made for this run: 32 bytes in hex. */
  readonly rootSecret: string;
  readonly cluster: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** A string: what the machine lacks for the suite. */
    readonly cloud: Cloud | string;
  }
}

/** Where hosts connect. */
export const brokerOf = ({ ministack }: Cloud): { readonly host: string; readonly port: number; readonly ca: string } => ({
  host: ministack.mqttHost,
  port: ministack.mqttPort,
  ca: ministack.ca,
});

/** Null where the set-up had to be left out; the tests are then skipped, and the set-up has said why. */
export const cloud = (): Cloud | null => {
  const provided = inject('cloud');
  return typeof provided === 'string' ? null : provided;
};
