/** What a parser of outside input returns: the value, or why there is none. Parsers never throw. */
export type Parsed<T, Why extends string = string> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: Why };

export const parsed = <T>(value: T): { readonly ok: true; readonly value: T } => ({ ok: true, value });
export const unparsed = <Why extends string>(why: Why): { readonly ok: false; readonly why: Why } => ({ ok: false, why });

/** Closes an exhaustive switch: the compiler proves that nothing gets here. */
export function unreachable(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
