/** What was made, and where it lies. */
export interface Built {
  readonly object: string;
  readonly addon: string;
  readonly extra: readonly string[];
  /** Those that were not up to date. */
  readonly built: readonly string[];
}

export class BuildError extends Error {
  readonly fix: string | undefined;
}

export function build(options?: { readonly root?: string; readonly log?: (line: string) => void; readonly extraBpf?: readonly string[] }): Built;
export function buildBpf(options: { readonly root?: string; readonly source: string; readonly log?: (line: string) => void }): string;
export function buildAddon(options?: { readonly root?: string; readonly log?: (line: string) => void }): string;
