/** `npm run cost`: the model's table on the terminal. */
import { parseArgs } from 'node:util';
import { ASSUMED, type Fleet, monthly, naive, total, worstOfOneHost } from './cost.ts';
import { hubSettings } from './settings.ts';

const kebab = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
const names = Object.keys(ASSUMED) as (keyof Fleet)[];

try {
  const { values }: { readonly values: Readonly<Record<string, unknown>> } = parseArgs({
    options: { ...Object.fromEntries(names.map(name => [kebab(name), { type: 'string' as const }])), help: { type: 'boolean' } },
  });
  if (values.help === true) console.log(`npm run cost -- ${names.map(name => `[--${kebab(name)} ${ASSUMED[name]}]`).join(' ')}`);
  else print(Object.fromEntries(names.map(name => [name, numberOf(name, values[kebab(name)])])) as unknown as Fleet);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

function numberOf(name: keyof Fleet, given: unknown): number {
  if (given === undefined) return ASSUMED[name];
  const number = Number(given);
  if (!Number.isFinite(number) || number <= 0) throw new Error(`--${kebab(name)}: a number above 0 is wanted, not ${given}`);
  return number;
}

function print(fleet: Fleet): void {
  const lines = monthly(fleet);
  const row = (dollars: number, what: string, why: string): string => `${`$${dollars.toFixed(2)}`.padStart(10)}  ${what.padEnd(24)}${why}`;
  console.log(`A hub for ${fleet.hosts} hosts, a month, in US dollars (AWS's list for us-east-1, no free tier):\n`);
  for (const { dollars, what, why } of [...lines].sort((one, other) => other.dollars - one.dollars)) console.log(row(dollars, what, why));
  console.log(row(total(lines), 'in all', `$${(total(lines) / fleet.hosts).toFixed(3)} a host`));
  console.log('\nAssumed:');
  for (const name of names) console.log(`  --${kebab(name)} ${fleet[name]}`);
  console.log(`\nEach report to all at once, at QoS 1, would be $${naive(fleet).toFixed(0)}.`);
  const { quarantineAfter, deliveriesPerSecond } = hubSettings.parse({ cluster: '0'.repeat(32), root: '0'.repeat(64) });
  console.log('\nThe dearest that one stolen host can do, in a day, where nobody stops it:');
  for (const { what, dollarsADay, bound } of worstOfOneHost(fleet, quarantineAfter, deliveriesPerSecond)) {
    console.log(`${`$${dollarsADay.toFixed(2)}`.padStart(10)}  ${what}\n            ${bound}`);
  }
}
