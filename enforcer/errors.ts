/** The two ways in which this program fails: something an operator can mend, and a mistake of ours. */

/** Closed table of codes: what happened, in the words of `honeymesh doctor` and of the docs. New ones at the end. */
export const ERROR_CODES = {
  HM_USAGE: 'the command line is wrong',
  HM_CONFIG: 'the configuration is wrong',
  HM_NOT_ROOT: 'root is needed',
  HM_DAEMON_DOWN: 'the daemon does not answer',
  HM_ALREADY_RUNNING: 'an enforcer of this instance runs already',
  HM_KERNEL_TOO_OLD: 'the kernel lacks what the packet filter needs',
  HM_NO_BTF: 'the kernel has no type information',
  HM_BPFFS: 'the BPF file system is missing',
  HM_NO_INTERFACE: 'the network interface does not exist',
  HM_XDP_BUSY: 'the interface carries another XDP program',
  HM_XDP_ATTACH: 'the packet filter could not be attached',
  HM_BPF_LOAD: 'the packet filter could not be loaded',
  HM_LAYOUT: 'pinned maps have the layout of another version',
  HM_NOT_BUILT: 'the native parts are not built',
  HM_MAP: 'a kernel map refused an operation',
  HM_STORE_CORRUPT: 'the event log is damaged',
  HM_STORE_READ_ONLY: 'the event log cannot be written',
  HM_DISK_FULL: 'the disk is full',
  HM_REFUSED: 'the policy refuses this',
  HM_NOT_FOUND: 'there is no such thing',
  HM_TRAP_LISTEN: 'the trap could not listen',
  HM_STORE_NEWER: 'the event log was written by a newer version',
} as const;
export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorParts {
  /** What the operator can do about it, as a sentence or a command. */
  readonly fix?: string;
  readonly cause?: unknown;
}

/** A failure of the machine, the configuration or the order given: it says how to mend it. */
export class HoneyMeshError extends Error {
  override readonly name = 'HoneyMeshError';
  readonly code: ErrorCode;
  readonly fix: string | undefined;

  constructor(code: ErrorCode, message: string, parts: ErrorParts = {}) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = code;
    this.fix = parts.fix;
  }
}

/** A broken promise of our own code. Nothing the operator does mends it; `detail` is for the report. */
export class HoneyMeshBug extends Error {
  override readonly name = 'HoneyMeshBug';
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(message: string, detail: Readonly<Record<string, unknown>> = {}) {
    super(`${message} (this is a bug in HoneyMesh: please report it with the output of "honeymesh doctor -o json")`);
    this.detail = detail;
  }
}
