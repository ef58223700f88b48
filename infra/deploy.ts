/**
 * `npm run hub:deploy [-- OPTION ...]`: `cdk deploy` of all stacks under the checkout's Node, then what an enforcer needs to know of the hub, printed and
 * written to .cache/hub/outputs.json. Options go to the CDK CLI as they are; -c KEY=VALUE sets what docs/hub.md lists.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './bundle.ts';
import { type HubOutputs, readOutputs } from './outputs.ts';

const OUTPUTS = join(ROOT, '.cache/hub/outputs.json');

const args = process.argv.slice(2);
const bin = join(ROOT, 'node_modules/.bin');
const ran = spawnSync(process.execPath, [join(bin, 'cdk'), 'deploy', '--all', ...args], {
  cwd: ROOT,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` },
});
if (ran.status !== 0) {
  console.error('The hub is as it was before. In an account that never had a CDK app: npx cdk bootstrap');
  process.exit(ran.status ?? 1);
}
if (args.includes('--help') || args.includes('-h') || args.includes('--no-execute')) process.exit(0);

try {
  const region = context('region');
  const outputs = await readOutputs(context('name') ?? 'honeymesh', region === undefined ? {} : { region });
  mkdirSync(dirname(OUTPUTS), { recursive: true });
  writeFileSync(OUTPUTS, `${JSON.stringify(outputs, null, 2)}\n`);
  console.log(summary(outputs));
} catch (error) {
  console.error(`The hub is deployed, but what it is called could not be read: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

/** What was set on the command line; the CLI itself reads cdk.json. */
function context(key: string): string | undefined {
  const words = args.flatMap((word, at) =>
    word === '-c' || word === '--context' ? [args[at + 1] ?? ''] : word.startsWith('--context=') ? [word.slice('--context='.length)] : [],
  );
  return words.find(word => word.startsWith(`${key}=`))?.slice(key.length + 1);
}

function summary({ endpoint, signer, cluster }: HubOutputs): string {
  return [
    '',
    `The hub of cluster ${cluster} is at ${endpoint}.`,
    'On each host that shall use it, with the credentials of an operator:',
    '',
    `  honeymesh hub enrol --endpoint ${endpoint} --signer ${signer}`,
    '',
    `All that is to know is in ${OUTPUTS}.`,
  ].join('\n');
}
