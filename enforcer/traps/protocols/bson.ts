/** BSON (bsonspec.org), read within bounds and written. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ByteReader, bytesOf, latin1, type Part, toUtf8, u32le, u64le } from './bytes.ts';

/** Text has one character for each byte of its UTF-8. A type that nothing here asks for is its raw bytes. */
export type BsonValue = number | bigint | string | boolean | null | Uint8Array | BsonDocument;
export type BsonDocument = readonly (readonly [name: string, value: BsonValue])[];
export type BsonFailure = 'truncated' | 'malformed' | 'too-deep' | 'too-long';

const DEEPEST = 8;
const MOST_ELEMENTS = 256;

/** Reads the document at the start of `bytes`. Never throws. */
export function parseBson(bytes: Uint8Array): Parsed<{ readonly document: BsonDocument; readonly bytes: number }, BsonFailure> {
  return parseDocument(bytes, 0);
}

function parseDocument(bytes: Uint8Array, depth: number): Parsed<{ readonly document: BsonDocument; readonly bytes: number }, BsonFailure> {
  if (depth >= DEEPEST) return unparsed('too-deep');
  const length = new ByteReader(bytes).u32le();
  if (bytes.length < 5 || length > bytes.length) return unparsed('truncated');
  if (length < 5 || bytes[length - 1] !== 0) return unparsed('malformed');
  const reader = new ByteReader(bytes.subarray(4, length - 1));
  const elements: (readonly [string, BsonValue])[] = [];
  while (reader.left > 0) {
    if (elements.length >= MOST_ELEMENTS) return unparsed('too-long');
    const type = reader.u8();
    const name = latin1(reader.untilNul());
    const value = parseValue(type, reader, depth);
    if (!value.ok) return value;
    if (reader.truncated) return unparsed('malformed');
    elements.push([name, value.value]);
  }
  return parsed({ document: elements, bytes: length });
}

function parseValue(type: number, reader: ByteReader, depth: number): Parsed<BsonValue, BsonFailure> {
  switch (type) {
    case 0x01: {
      const double = reader.take(8);
      return parsed(double.length === 8 ? new DataView(double.buffer, double.byteOffset).getFloat64(0, true) : 0);
    }
    case 0x02: // string
    case 0x0d: // code
    case 0x0e: {
      const text = reader.take(reader.u32le());
      return text.at(-1) === 0 ? parsed(latin1(text.subarray(0, -1))) : unparsed('malformed');
    }
    case 0x03: // document
    case 0x04: {
      const rest = reader.rest();
      const nested = parseDocument(rest, depth + 1);
      if (!nested.ok) return nested.why === 'truncated' ? unparsed('malformed') : nested;
      reader.take(nested.value.bytes);
      return parsed(nested.value.document);
    }
    case 0x05: {
      const size = reader.u32le();
      reader.u8(); // subtype
      return parsed(reader.take(size));
    }
    case 0x06: // undefined
    case 0x0a: // null
    case 0x7f: // largest key
    case 0xff:
      return parsed(null);
    case 0x07:
      return parsed(reader.take(12));
    case 0x08:
      return parsed(reader.u8() !== 0);
    case 0x0b:
      return parsed(`/${latin1(reader.untilNul())}/${latin1(reader.untilNul())}`);
    case 0x10:
      return parsed(reader.u32le() | 0);
    case 0x09: // milliseconds
    case 0x11: // timestamp
    case 0x12: {
      const long = reader.take(8);
      return parsed(long.length === 8 ? new DataView(long.buffer, long.byteOffset).getBigInt64(0, true) : 0n);
    }
    case 0x13:
      return parsed(reader.take(16));
    default:
      return unparsed('malformed'); // also 0x0c and 0x0f, which drivers gave up long ago
  }
}

/** A value to write: numbers are of type int32 unless wrapped. */
export type BsonOut =
  | number
  | string
  | boolean
  | Uint8Array
  | { readonly double: number }
  | { readonly millis: number }
  | { readonly list: readonly BsonOut[] }
  | BsonOutDocument;
export type BsonOutDocument = readonly (readonly [name: string, value: BsonOut])[];

export function writeBson(document: BsonOutDocument): Uint8Array {
  const body = bytesOf(...document.map(([name, value]) => writeElement(name, value)));
  return bytesOf(u32le(body.length + 5), body, 0);
}

function writeElement(name: string, value: BsonOut): Uint8Array {
  const element = (type: number, ...content: readonly Part[]): Uint8Array => bytesOf(type, name, 0, ...content);
  if (typeof value === 'number') return element(0x10, u32le(value));
  if (typeof value === 'boolean') return element(0x08, value ? 1 : 0);
  if (typeof value === 'string') {
    const text = toUtf8(value);
    return element(0x02, u32le(text.length + 1), text, 0);
  }
  if (value instanceof Uint8Array) return element(0x05, u32le(value.length), 0, value);
  if ('double' in value) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value.double, true);
    return element(0x01, bytes);
  }
  if ('millis' in value) return element(0x09, u64le(BigInt(value.millis)));
  if ('list' in value) return element(0x04, writeBson(value.list.map((item, index) => [String(index), item] as const)));
  return element(0x03, writeBson(value));
}

/** The value of `name` in `document`, if it is a text. */
export function textOf(document: BsonDocument, name: string): string | undefined {
  const value = document.find(([key]) => key === name)?.[1];
  return typeof value === 'string' ? value : undefined;
}

/** The value of `name` in `document`, if it is bytes. */
export function bytesIn(document: BsonDocument, name: string): Uint8Array | undefined {
  const value = document.find(([key]) => key === name)?.[1];
  return value instanceof Uint8Array ? value : undefined;
}

export function documentIn(document: BsonDocument, name: string): BsonDocument | undefined {
  const value = document.find(([key]) => key === name)?.[1];
  return isDocument(value) ? value : undefined;
}

export const isDocument = (value: BsonValue | undefined): value is BsonDocument => Array.isArray(value);

/** One line of JSON-like text for events, `longest` characters at most. */
export function showBson(value: BsonValue, longest: number): string {
  if (value instanceof Uint8Array) return `bytes(${value.length})`;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, longest));
  if (!isDocument(value)) return String(value);
  let line = '{';
  for (const [name, item] of value) {
    if (line.length >= longest) break;
    line += `${line === '{' ? ' ' : ', '}${name.slice(0, longest)}: ${showBson(item, longest - line.length)}`;
  }
  return `${line} }`.slice(0, longest);
}
