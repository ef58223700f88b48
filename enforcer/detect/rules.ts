/**
 * What a rule of detect is. A word of it is looked for first, with all other rules' words in one pass; only where one begins is the shape tried. So the
 * time is linear in the text and nearly independent of the number of rules.
 */
import type { ContentKind, Finding } from '@honeymesh/intel/findings';
import type { Reason } from '@honeymesh/intel/reasons';

/** Where a text was said. Bits, so that a rule can name several. */
export const TARGET = 1; // of an HTTP request: path and query
export const ACT = 2; // method, a space and the target of a request that is no GET and no HEAD
export const HEADER = 4; // the value of an HTTP header
export const HEADER_NAME = 8;
export const BODY = 16; // of an HTTP request
export const AGENT = 32; // what names the client's software
export const SHELL = 64; // a line to a shell: everything in it is an order
export const LINE = 128; // a line to any other service, or method, a space and the target of its request
export const NAME = 256; // a user name or a secret
export const OPAQUE = 512; // carried by a protocol that is none of the above, or not known
export const MAIL = 1024;

export const WEB = TARGET | HEADER | BODY;
/** What reaches a service that is no web server. */
export const SERVICE = LINE | OPAQUE;
/** For what nobody says innocently, wherever it is said. */
export const ANYWHERE = WEB | AGENT | SHELL | SERVICE | NAME | MAIL;

export interface Rule {
  readonly name: string;
  readonly reason: Reason;
  readonly kind: ContentKind;
  readonly places: number;
  /** Lower-case; one of them must occur, in any case. */
  readonly words: readonly string[];
  /** Sticky: tried where a word begins. Every quantifier is bounded: a test sees to it. */
  readonly shape?: RegExp;
  /** Only said in these protocols. */
  readonly protocols?: readonly string[];
}

export interface Written {
  readonly places: number;
  readonly words: readonly string[];
  readonly shape?: RegExp;
  /** Upper and lower case differ, as in base64. */
  readonly exact?: true;
  readonly protocols?: readonly string[];
}

const written = (name: string, reason: Reason, kind: ContentKind, { places, words, shape, exact, protocols }: Written): Rule => ({
  name,
  reason,
  kind,
  places,
  words,
  ...(shape === undefined ? {} : { shape: new RegExp(shape.source, exact ? 'sy' : 'isy') }),
  ...(protocols === undefined ? {} : { protocols }),
});

/** Something of the host is to be broken (T1190). */
export const exploit = (name: string, rule: Written): Rule => written(name, 'exploit', 'exploit', rule);
/** Somebody looks for what could be broken (T1595.002). */
export const probe = (name: string, rule: Written): Rule => written(name, 'vulnerability-scan', 'payload', rule);
/** An interpreter is to run something (T1059). */
export const order = (name: string, rule: Written): Rule => written(name, 'command', 'command', rule);
/** Something is to be fetched or put here (T1105). */
export const transfer = (name: string, rule: Written): Rule => written(name, 'tool-transfer', 'command', rule);
/** Something is hidden from the eye (T1027); alone it proves nothing. */
export const hidden = (name: string, rule: Written): Rule => written(name, 'obfuscated', 'payload', rule);

/** Findings in the making: each rule once, with what it saw first. */
export type Found = Map<string, Finding>;
