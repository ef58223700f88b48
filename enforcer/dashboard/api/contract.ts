/** One operation of the API as values: what comes in, what goes out, who may ask. Routes are served from it, the OpenAPI document is made from it. */
import type * as z from 'zod';

export type Method = 'GET' | 'POST' | 'DELETE';

export interface Contract {
  /** Also its operationId. */
  readonly name: string;
  readonly method: Method;
  readonly path: `/${string}`;
  readonly about: string;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** A schema: JSON. A media type: the handler writes. */
  readonly answer: z.ZodType | string;
  /** A browser that downloads can set no header: `?token=` counts, too. */
  readonly download?: true;
  /** From the host itself without a token. */
  readonly loopback?: true;
  /** 64 KiB without it. */
  readonly longestBodyBytes?: number;
}

/** A group of contracts that one plugin serves. */
export type Contracts = Readonly<Record<string, Contract>>;

type Read<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** What a handler gets: checked. */
export interface Asked<Of extends Contract> {
  readonly query: Of extends { readonly query: infer Schema } ? Read<Schema> : undefined;
  readonly body: Of extends { readonly body: infer Schema } ? Read<Schema> : undefined;
}

/** What it answers with. */
export type Answered<Of extends Contract> = Of['answer'] extends z.ZodType ? z.input<Of['answer']> : unknown;
