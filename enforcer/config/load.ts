/** Reads the configuration: the file, then the environment over it, then the flags. Tells all problems at once and never throws. */
import { closeSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { MODES, type Mode } from '@honeymesh/intel/evidence';
import { Lexer, LineCounter, parseDocument } from 'yaml';
import type { Config } from './config.ts';
import { interfaceName } from './fields.ts';
import { nearest } from './nearest.ts';
import { DEFAULT_CONFIG_PATH, DEFAULT_INSTANCE, type InstancePaths, parseInstance, pathsOf } from './paths.ts';
import { type KeyPath, keyText, type Problem, problemsOf, shapeOf } from './problems.ts';
import { configSchema } from './schema.ts';
import { configOf } from './units.ts';
import { shown } from './wording.ts';

/** Far above any sensible file, and little enough to parse at once. */
export const LONGEST_CONFIG_BYTES = 128 * 1024;
const MOST_FAULTS = 20;
const MOST_ISSUES = 100;
/** How the parser's own recursion ends: in an error of the document, or thrown. */
const STACK = /call stack|stack overflow/i;

/** What the flags said. */
export interface Overrides {
  readonly interfaces?: readonly string[];
  readonly mode?: string;
  readonly instance?: string;
}

export interface LoadOptions {
  /** `--config`; a file that is named must be there. */
  readonly path?: string;
  readonly overrides?: Overrides;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Where a value comes from; `line` counts from 1. */
export type Source =
  | { readonly from: 'default' }
  | { readonly from: 'file'; readonly line: number | null }
  | { readonly from: 'environment' | 'flag'; readonly name: string };

export interface Loaded {
  readonly config: Config;
  /** Absolute: it is read in other folders than this. null: built-in defaults, no file. */
  readonly path: string | null;
  readonly instance: string;
  readonly paths: InstancePaths;
  /** Where each key's value came from, by its dotted name, in the order of the schema. */
  readonly sources: ReadonlyMap<string, Source>;
}

export type LoadResult = { readonly ok: true; readonly value: Loaded } | { readonly ok: false; readonly problems: readonly Problem[] };

export function loadConfig({ path, overrides = {}, environment = {} }: LoadOptions = {}): LoadResult {
  const problems: Problem[] = [];
  const given = environmentOf(environment);
  const named = path ?? given('HONEYMESH_CONFIG');
  const file = readConfigFile(named ?? DEFAULT_CONFIG_PATH, named !== undefined);
  const read = file.ok ? parseConfig(file.text, file.path ?? '') : { config: undefined, lines: new Map<string, number | null>(), problems: [file.problem] };
  problems.push(...read.problems);

  const instance = choose(overrides.instance, '--instance', given('HONEYMESH_INSTANCE'), 'HONEYMESH_INSTANCE');
  const mode = choose(overrides.mode, '--mode', given('HONEYMESH_MODE'), 'HONEYMESH_MODE');
  const variable = given('HONEYMESH_INTERFACE')
    ?.split(',')
    .map(name => name.trim());
  const interfaces = choose(overrides.interfaces, '--interface', variable, 'HONEYMESH_INTERFACE');
  if (instance !== undefined) problems.push(...checkInstance(instance.value, instance.source.name));
  if (mode !== undefined) problems.push(...checkMode(mode.value, mode.source.name));
  for (const name of interfaces?.value ?? []) problems.push(...checkInterface(name, interfaces?.source.name ?? ''));
  if (problems.length > 0 || read.config === undefined) return { ok: false, problems };

  const config: Config = {
    ...read.config,
    ...(interfaces === undefined ? {} : { interfaces: [...new Set(interfaces.value)] }),
    ...(mode === undefined ? {} : { mode: mode.value as Mode }),
  };
  const sources = new Map<string, Source>(
    leafKeys().map(key => [key, read.lines.has(key) ? { from: 'file', line: read.lines.get(key) ?? null } : { from: 'default' }]),
  );
  if (mode !== undefined) sources.set('mode', mode.source);
  if (interfaces !== undefined) sources.set('interfaces', interfaces.source);
  const name = instance?.value ?? DEFAULT_INSTANCE;
  return { ok: true, value: { config, path: file.ok && file.path !== null ? resolve(file.path) : null, instance: name, paths: pathsOf(name), sources } };
}

/** The text of a configuration file, checked. `lines` tells on which line each key that is there has its value. */
export function parseConfig(
  text: string,
  where: string,
): { readonly config?: Config; readonly lines: ReadonlyMap<string, number | null>; readonly problems: readonly Problem[] } {
  const none = new Map<string, number | null>();
  const whole = (message: string, line: number | null = null): Problem => ({ where, line, column: null, key: null, message });
  if (Buffer.byteLength(text) > LONGEST_CONFIG_BYTES) return { lines: none, problems: [whole(`is larger than ${LONGEST_CONFIG_BYTES} bytes`)] };
  try {
    const complex = complexKeyAt(text);
    if (complex !== undefined) return { lines: none, problems: [whole('not valid here: a key that starts with "?"', complex)] };
    const counter = new LineCounter();
    const document = parseDocument(text, { version: '1.2', lineCounter: counter, prettyErrors: false, maxAliasCount: 50 } as Parameters<
      typeof parseDocument
    >[1]);
    const faults = [...document.errors, ...document.warnings].slice(0, MOST_FAULTS);
    if (faults.some(fault => STACK.test(fault.message))) return { lines: none, problems: [whole('not valid here: it is nested too deeply')] };
    if (faults.length > 0) {
      const problems = faults.map((fault): Problem => {
        const at = counter.linePos(fault.pos[0]);
        const message = fault.code === 'MULTIPLE_DOCS' ? 'a second document starts here: a configuration is one' : `not valid YAML: ${fault.message}`;
        return { where, line: at.line, column: at.col, key: null, message };
      });
      return { lines: none, problems };
    }
    const checked = configSchema.safeParse(document.toJS({ maxAliasCount: 50 }) ?? {});
    if (!checked.success) return { lines: none, problems: problemsOf(checked.error.issues.slice(0, MOST_ISSUES), where, document, counter) };
    const lines = new Map(none);
    for (const key of leafKeys()) {
      const node = document.getIn(key.split('.'), true) as { range?: [number, number, number] | null } | undefined;
      if (node !== undefined) lines.set(key, node.range == null ? null : counter.linePos(node.range[0]).line);
    }
    return { config: configOf(checked.data), lines, problems: [] };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { lines: none, problems: [whole(STACK.test(why) ? 'not valid here: it is nested too deeply' : `not valid YAML: ${why}`)] };
  }
}

/** Every key that holds a value, dotted, in the order of the schema. */
export function leafKeys(shape = shapeOf(configSchema) ?? {}, above: KeyPath = []): string[] {
  return Object.entries(shape).flatMap(([name, schema]) => {
    const inside = shapeOf(schema);
    return inside === undefined ? [keyText([...above, name])] : leafKeys(inside, [...above, name]);
  });
}

/** The line of the first `? ` (a key that is itself a structure). No key of ours is one, and nested they take the parser exponential time. */
function complexKeyAt(text: string): number | undefined {
  let line = 1;
  for (const token of new Lexer().lex(text)) {
    if (token === '?') return line;
    line += token.split('\n').length - 1;
  }
  return undefined;
}

type FileRead = { readonly ok: true; readonly path: string | null; readonly text: string } | { readonly ok: false; readonly problem: Problem };

function readConfigFile(path: string, named: boolean): FileRead {
  const fail = (message: string): FileRead => ({ ok: false, problem: { where: path, line: null, column: null, key: null, message } });
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const bytes = Buffer.alloc(LONGEST_CONFIG_BYTES + 1);
    let length = 0;
    while (length < bytes.length) {
      const got = readSync(file, bytes, length, bytes.length - length, null);
      if (got === 0) break;
      length += got;
    }
    if (length > LONGEST_CONFIG_BYTES) return fail(`is larger than ${LONGEST_CONFIG_BYTES} bytes`);
    return { ok: true, path, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length)) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && !named) return { ok: true, path: null, text: '' };
    if (code === 'ENOENT') return fail('there is no such file');
    if (code === 'EACCES' || code === 'EPERM') return fail('may not be read by this user: run as root');
    if (code === 'EISDIR') return fail('is a directory, not a file');
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return fail('is not UTF-8 text');
    return fail(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** A variable that is set and empty counts as not set: that is what unit files and shells leave behind. */
const environmentOf =
  (environment: Readonly<Record<string, string | undefined>>) =>
  (name: string): string | undefined =>
    environment[name] === '' ? undefined : environment[name];

type Chosen<Value> = { readonly value: Value; readonly source: { readonly from: 'environment' | 'flag'; readonly name: string } };

function choose<Value>(flag: Value | undefined, flagName: string, variable: Value | undefined, variableName: string): Chosen<Value> | undefined {
  if (flag !== undefined) return { value: flag, source: { from: 'flag', name: flagName } };
  if (variable !== undefined) return { value: variable, source: { from: 'environment', name: variableName } };
  return undefined;
}

const wrong = (where: string, message: string): Problem[] => [{ where, line: null, column: null, key: null, message }];

function checkInstance(text: string, where: string): Problem[] {
  return parseInstance(text).ok ? [] : wrong(where, `${shown(text)} is no instance name: give 1 to 32 lower-case letters, digits and dashes`);
}

function checkMode(text: string, where: string): Problem[] {
  if ((MODES as readonly string[]).includes(text)) return [];
  const near = nearest(text, MODES);
  return wrong(where, `${shown(text)} is wrong: give one of ${MODES.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`);
}

function checkInterface(text: string, where: string): Problem[] {
  const checked = interfaceName.safeParse(text);
  return checked.success ? [] : wrong(where, checked.error.issues[0]?.message ?? 'is wrong');
}
