/** The hub's template as the tests look at it: synthesised once for a file, with code that takes no time to bundle, and without intrinsic functions. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import type { Bundle } from '#infra/bundle.ts';
import { createHub, type Hub } from '#infra/hub.ts';

/** What every hub needs to be told. */
export const CONTEXT = { cluster: '00112233445566778899aabbccddeeff', root: 'ab'.repeat(32) };

export interface Synthesised extends Disposable {
  readonly hub: Hub;
  readonly template: Template;
  readonly assembly: string;
  /** The template as text. */
  readonly text: string;
}

/** Throws where the settings, cdk-nag or CloudFormation's rules object. */
export function synthesise(context: Readonly<Record<string, unknown>> = {}): Synthesised {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-infra-'));
  const hub = createHub({ context: { ...CONTEXT, ...context }, outdir: join(folder, 'assembly'), bundle: emptyBundle(folder) });
  const assembly = hub.app.synth();
  const template = Template.fromStack(hub.stack);
  return {
    hub,
    template,
    assembly: assembly.directory,
    text: JSON.stringify(template.toJSON()),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const emptyBundle =
  (folder: string): Bundle =>
  name => {
    const code = join(folder, 'code', name);
    mkdirSync(code, { recursive: true });
    writeFileSync(join(code, 'index.js'), 'exports.handler = async () => {};');
    return code;
  };

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'us-east-1',
  'AWS::AccountId': '000000000000',
  'AWS::URLSuffix': 'amazonaws.com',
};

/** A part of a template with pseudo parameters filled in and joins joined; what else is referred to becomes `<Id>` or `<Id.Attribute>`. */
export function resolved<T = unknown>(part: unknown): T {
  return resolve(part) as T;
}

function resolve(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(resolve);
  if (typeof part !== 'object' || part === null) return part;
  const [[key, value] = ['', undefined], ...more] = Object.entries(part);
  if (more.length === 0 && key === 'Ref') return PSEUDO[String(value)] ?? `<${value}>`;
  if (more.length === 0 && key === 'Fn::GetAtt') return `<${(value as string[]).join('.')}>`;
  if (more.length === 0 && key === 'Fn::Join') {
    const [separator, parts] = value as [string, unknown[]];
    return parts.map(resolve).join(separator);
  }
  return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, resolve(inner)]));
}
