/**
 * A Go struct on the wire: a map with the field names as keys, sorted; read from a map in any order, with unknown, missing, repeated and nil fields, or from
 * an array in the order of declaration.
 */
import { NO_BYTES } from './bytes.ts';
import type { Cursor } from './msgpack-cursor.ts';
import { Writer } from './msgpack-writer.ts';

export interface Field<T> {
  readonly zero: T;
  read(cursor: Cursor): T;
  write(writer: Writer, value: T): void;
  /** Set where Go's tag says omitempty: a zero is not written. */
  omitted?(value: T): boolean;
}

/** Fields in the order in which Go declares them. */
export type Shape = Readonly<Record<string, Field<unknown>>>;
export type Values<S extends Shape> = { -readonly [Name in keyof S]: S[Name] extends Field<infer T> ? T : never };

export interface Structure<S extends Shape> {
  read(cursor: Cursor): Values<S>;
  write(writer: Writer, values: Values<S>): void;
  /** The structure behind a message's type. */
  message(type: number, values: Values<S>): Uint8Array;
}

function keyBytes(name: string): Uint8Array {
  const writer = new Writer();
  writer.text(name);
  return writer.written();
}

export function structure<S extends Shape>(shape: S): Structure<S> {
  const declared = Object.entries(shape);
  const fields = new Map(declared);
  const sorted = [...declared].sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, field]) => ({ name, field, key: keyBytes(name) }));
  const other = (name: string): { readonly name: string; readonly field: Field<unknown> | undefined } => ({ name, field: fields.get(name) });
  const zeros = Object.fromEntries(declared.map(([name, { zero }]) => [name, zero]));

  function readMap(cursor: Cursor, count: number, values: Record<string, unknown>): void {
    let next = 0;
    for (let pair = 0; pair < count && cursor.fault === null; pair++) {
      // Sorted, as all send them, no key is made a text of.
      while (next < sorted.length && !cursor.passes(sorted[next]?.key ?? NO_BYTES)) next++;
      const { name, field } = sorted[next++] ?? other(cursor.key());
      if (field === undefined) cursor.skip();
      else values[name] = field.read(cursor);
    }
  }

  function readArray(cursor: Cursor, count: number, values: Record<string, unknown>): void {
    for (let at = 0; at < count && cursor.fault === null; at++) {
      const [name, field] = declared[at] ?? [];
      if (name === undefined || field === undefined) cursor.skip();
      else values[name] = field.read(cursor);
    }
  }

  const self: Structure<S> = {
    read(cursor) {
      const values = { ...zeros };
      const collection = cursor.collection();
      if (collection.kind === 'map') readMap(cursor, collection.count, values);
      if (collection.kind === 'array') readArray(cursor, collection.count, values);
      return values as Values<S>;
    },
    write(writer, values) {
      let pairs = sorted.length;
      for (const { name, field } of sorted) if (field.omitted?.(values[name]) === true) pairs--;
      writer.map(pairs);
      for (const { name, field, key } of sorted) {
        if (field.omitted?.(values[name]) === true) continue;
        writer.raw(key);
        field.write(writer, values[name]);
      }
    },
    message(type, values) {
      const writer = new Writer();
      writer.byte(type);
      self.write(writer, values);
      return writer.written();
    },
  };
  return self;
}

const unsigned = (largest: number): Field<number> => ({
  zero: 0,
  read: cursor => cursor.unsigned(largest),
  write: (writer, value) => writer.unsigned(value),
});

export const u8 = unsigned(0xff);
export const u16 = unsigned(0xffff);
export const u32 = unsigned(0xffff_ffff);

/** A Go int. It is written unsigned, which both generations read: only sizes and states are sent in it. */
export const int: Field<number> = { zero: 0, read: cursor => cursor.integer(), write: (writer, value) => writer.unsigned(value) };

export const bool: Field<boolean> = { zero: false, read: cursor => cursor.boolean(), write: (writer, value) => writer.boolean(value) };

export const text = (longest: number): Field<string> => ({
  zero: '',
  read: cursor => cursor.text(longest),
  write: (writer, value) => writer.text(value),
});

/** Bytes where nil and empty mean the same; written as Go writes a slice that nobody set: nil. */
export const bytes = (longest: number): Field<Uint8Array> => ({
  zero: NO_BYTES,
  read: cursor => cursor.bytesOrNil(longest) ?? NO_BYTES,
  write: (writer, value) => (value.length === 0 ? writer.nil() : writer.bytes(value)),
});

/** Bytes where nil is another value than empty. */
export const bytesOrNil = (longest: number): Field<Uint8Array | null> => ({
  zero: null,
  read: cursor => cursor.bytesOrNil(longest),
  write: (writer, value) => (value === null ? writer.nil() : writer.bytes(value)),
});

export const omitEmpty = <T extends number | string | Uint8Array>(field: Field<T>): Field<T> => ({
  ...field,
  omitted: value => (typeof value === 'object' ? value.length === 0 : value === 0 || value === ''),
});
