/** From zod's issues and the YAML's positions to what the operator reads: file, line, column, key, what is wrong, what was meant. */
import { type Document, isMap, isNode, type LineCounter, type Node, type Pair } from 'yaml';
import type * as z from 'zod';
import { HoneyMeshError } from '../errors.ts';
import { nearest } from './nearest.ts';
import { configSchema } from './schema.ts';
import { shown } from './wording.ts';

export interface Problem {
  /** The file, or the flag or environment variable that the value came from. */
  readonly where: string;
  /** From 1; null where the problem has no place in a file. */
  readonly line: number | null;
  readonly column: number | null;
  /** Such as `detect.fast.window`; null for the file as a whole. */
  readonly key: string | null;
  readonly message: string;
}

const MOST_UNKNOWN = 50;

export type KeyPath = readonly (string | number)[];

/** `/etc/honeymesh/config.yaml:3:7: detect.fast.windw: unknown key, did you mean window?` */
export function problemText({ where, line, column, key, message }: Problem): string {
  const place = line === null ? where : `${where}:${line}${column === null ? '' : `:${column}`}`;
  return `${place}: ${key === null ? '' : `${key}: `}${message}`;
}

/** All problems as one error, for callers that only go on with a good configuration. */
export function configError(problems: readonly Problem[]): HoneyMeshError {
  return new HoneyMeshError('HM_CONFIG', problems.map(problemText).join('\n'), {
    fix: 'correct that and try "honeymesh config check"; docs/reference/config.md lists every key',
  });
}

/** The text of a key path: `services.ports[2]`. Keys come from the file, so they are shown bounded and clean. */
export function keyText(path: KeyPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w-]{1,40}$/.test(step) ? step : shown(step)}`;
  }
  return text;
}

export function problemsOf(issues: readonly z.core.$ZodIssue[], where: string, document: Document, lines: LineCounter): Problem[] {
  const problems: Problem[] = [];
  const add = (path: KeyPath, node: Node | null | undefined, message: string): void => {
    const at = node?.range == null ? null : lines.linePos(node.range[0]);
    problems.push({ where, line: at?.line ?? null, column: at?.col ?? null, key: path.length === 0 ? null : keyText(path), message });
  };
  for (const issue of issues.flatMap(flat)) {
    const path = issue.path.map(step => (typeof step === 'symbol' ? String(step) : step));
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys.slice(0, MOST_UNKNOWN)) add([...path, key], keyNode(document, path, key), unknownKey(key, path));
    } else {
      add(path, valueNode(document, path), issue.message);
    }
  }
  return problems.sort((one, other) => (one.line ?? 0) - (other.line ?? 0) || (one.column ?? 0) - (other.column ?? 0));
}

/** Of a union's failures, those of the branch that got furthest into the value: a bad port in a list, not "no list". */
function flat(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const inside = issue.errors.find(branch => branch.length > 0 && branch.every(one => one.path.length > 0 || one.code === 'too_big'));
  if (inside === undefined) return [issue];
  return inside.flatMap(one => flat({ ...one, path: [...issue.path, ...one.path] }));
}

function unknownKey(key: string, path: KeyPath): string {
  const known = keysAt(path);
  const near = nearest(key, known);
  if (near !== undefined) return `unknown key, did you mean ${near}?`;
  const home = homesOf(key)[0];
  if (home !== undefined) return `unknown key here, did you mean ${home}?`;
  return path.length === 0 ? `unknown key; known are ${known.join(', ')}` : `unknown key; ${keyText(path)} knows ${known.join(', ')}`;
}

/** The shape inside what wraps it (defaults, optionals), or undefined for a value without keys. */
export function shapeOf(schema: unknown): Readonly<Record<string, z.ZodType>> | undefined {
  let inner = schema as z.ZodType | undefined;
  while (inner !== undefined) {
    const { def } = inner as unknown as { readonly def: { readonly type: string; readonly shape?: Record<string, z.ZodType>; readonly innerType?: z.ZodType } };
    if (def.type === 'object') return def.shape;
    inner = def.innerType;
  }
  return undefined;
}

function keysAt(path: KeyPath): string[] {
  let shape = shapeOf(configSchema);
  for (const step of path) shape = shapeOf(shape?.[String(step)]);
  return Object.keys(shape ?? {});
}

/** Where in the schema a key of this name lives: `touch` at the top is `bans.touch`. */
function homesOf(key: string, shape = shapeOf(configSchema) ?? {}, above: readonly string[] = []): string[] {
  return Object.entries(shape).flatMap(([name, schema]) => [
    ...(name === key ? [[...above, name].join('.')] : []),
    ...homesOf(key, shapeOf(schema) ?? {}, [...above, name]),
  ]);
}

function keyNode(document: Document, path: KeyPath, key: string): Node | null {
  const holder = path.length === 0 ? document.contents : document.getIn(path, true);
  if (!isMap(holder)) return null;
  const pair = holder.items.find((item: Pair) => String(item.key) === key);
  return isNode(pair?.key) ? pair.key : null;
}

/** The value's node; for one that is empty or implied, the nearest thing above that has a place. */
function valueNode(document: Document, path: KeyPath): Node | null {
  for (let length = path.length; length > 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range != null) return node;
    const key = keyNode(document, path.slice(0, length - 1), String(path[length - 1]));
    if (key !== null) return key;
  }
  return document.contents as Node | null;
}
