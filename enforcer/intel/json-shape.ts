/** Shapes of small JSON messages from outside: bounded before they are read, unknown fields refused, a reason in place of an exception. */
import { type Parsed, parsed, unparsed } from './parsed.ts';

export type ShapeFailure = 'oversize' | 'not-json' | 'wrong-shape';

/** Gives the value, or undefined where it is another shape. */
export type Shape<T> = (value: unknown) => T | undefined;
export type ShapeOf<S> = S extends Shape<infer T> ? T : never;

/** Reads `bytes` as UTF-8 JSON of one shape. Never throws; what is longer than `longestBytes` is not read. */
export function readJson<T>(bytes: Uint8Array, longestBytes: number, shape: Shape<T>): Parsed<T, ShapeFailure> {
  if (bytes.length > longestBytes) return unparsed('oversize');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return unparsed('not-json');
  }
  const shaped = shape(value);
  return shaped === undefined ? unparsed('wrong-shape') : parsed(shaped);
}

export const writeJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

export const integer =
  (least: number, most: number): Shape<number> =>
  value =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most ? value : undefined;

export const counter: Shape<number> = integer(0, Number.MAX_SAFE_INTEGER);

export const text =
  (longest: number, pattern: RegExp): Shape<string> =>
  value =>
    typeof value === 'string' && value.length <= longest && pattern.test(value) ? value : undefined;

export const oneOf =
  <const T extends string | number | boolean>(values: readonly T[]): Shape<T> =>
  value =>
    values.find(one => one === value);

export const list =
  <T>(shape: Shape<T>, most: number): Shape<readonly T[]> =>
  value => {
    if (!Array.isArray(value) || value.length > most) return undefined;
    const items: T[] = [];
    for (const each of value) {
      const item = shape(each);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  };

export const orNull =
  <T>(shape: Shape<T>): Shape<T | null> =>
  value =>
    value === null ? null : shape(value);

/** Base64 with padding, of at most `longestBytes`. */
export const base64 =
  (longestBytes: number): Shape<Uint8Array> =>
  value =>
    typeof value === 'string' && value.length <= 4 * Math.ceil(longestBytes / 3) ? bytesOfBase64(value) : undefined;

type Fields = Readonly<Record<string, Shape<unknown>>>;

/** All of these fields and no other. */
export const object =
  <F extends Fields>(fields: F): Shape<{ readonly [K in keyof F]: ShapeOf<F[K]> }> =>
  value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const names = Object.keys(fields);
    const given = Object.keys(value);
    if (given.length !== names.length) return undefined;
    const shaped: Record<string, unknown> = {};
    for (const name of names) {
      if (!Object.hasOwn(value, name)) return undefined;
      const field = fields[name]?.((value as Record<string, unknown>)[name]);
      if (field === undefined) return undefined;
      shaped[name] = field;
    }
    return shaped as { readonly [K in keyof F]: ShapeOf<F[K]> };
  };

/** The first of these that fits. */
export const either =
  <S extends readonly Shape<unknown>[]>(...shapes: S): Shape<ShapeOf<S[number]>> =>
  value => {
    for (const shape of shapes) {
      const shaped = shape(value);
      if (shaped !== undefined) return shaped as ShapeOf<S[number]>;
    }
    return undefined;
  };

export function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 4_096) binary += String.fromCharCode(...bytes.subarray(at, at + 4_096));
  return btoa(binary);
}

/** Undefined: not base64. */
export function bytesOfBase64(encoded: string): Uint8Array | undefined {
  if (encoded.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return undefined;
  const binary = atob(encoded);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
