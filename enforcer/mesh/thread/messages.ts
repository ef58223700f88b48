/** What the daemon and the mesh's thread say to each other. */
import type { ErrorCode } from '../../errors.ts';
import type { MeshHost, MeshLink, MeshSettings, MeshWord } from '../port.ts';

export type CallName = keyof MeshLink;
export type CallArguments<Name extends CallName> = Parameters<MeshHost[Name]>;
export type CallValue<Name extends CallName> = Awaited<ReturnType<MeshHost[Name]>>;

export type ToMesh =
  /** The first message, once. */
  | { readonly kind: 'start'; readonly settings: MeshSettings }
  | { readonly kind: 'call'; readonly id: number; readonly name: CallName; readonly args: readonly unknown[] }
  /** One batch of words was taken: there is room for another. */
  | { readonly kind: 'took' }
  /** Answered by `alive`, where the thread still turns. */
  | { readonly kind: 'beat' }
  /** End in order; the thread ends then. */
  | { readonly kind: 'stop' };

export interface CallFailure {
  /** null: a mistake of ours. */
  readonly code: ErrorCode | null;
  readonly why: string;
  readonly fix: string | null;
}

export type FromMesh =
  | { readonly kind: 'up' }
  /** It could not begin, and ends. */
  | { readonly kind: 'failed'; readonly failure: CallFailure }
  | { readonly kind: 'words'; readonly words: readonly MeshWord[] }
  | { readonly kind: 'answer'; readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly ok: false; readonly failure: CallFailure }
  | { readonly kind: 'alive' };

/** So many batches of words may be under way to the daemon; more wait in the thread's outbox. */
export const BATCHES_AHEAD = 2;
