/** Where an instance keeps its things. Instances share nothing, so that several enforcers run on one kernel. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';

export const DEFAULT_INSTANCE = 'main';
export const DEFAULT_CONFIG_PATH = '/etc/honeymesh/config.yaml';

export interface InstancePaths {
  /** The event log and what else outlives a restart. */
  readonly state: string;
  /** Gone at the next boot. */
  readonly run: string;
  /** Pinned maps, programs and links in bpffs. */
  readonly pins: string;
  readonly socket: string;
}

/** An instance's name becomes part of paths: lower-case letters, digits and dashes, 1 to 32 of them. */
export function parseInstance(text: string): Parsed<string, 'not-an-instance-name'> {
  return /^[a-z0-9-]{1,32}$/.test(text) ? parsed(text) : unparsed('not-an-instance-name');
}

/** `instance` is a name that parseInstance accepted. */
export function pathsOf(instance: string): InstancePaths {
  const run = `/run/honeymesh/${instance}`;
  return { state: `/var/lib/honeymesh/${instance}`, run, pins: `/sys/fs/bpf/honeymesh/${instance}`, socket: `${run}/control.sock` };
}
