/** What an operator can choose about a hub: context of the CDK app (cdk.json, or `-c key=value`), checked before anything is built. */
import * as z from 'zod';

const truth = z.union([z.boolean(), z.enum(['true', 'false']).transform(word => word === 'true')]);
const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most);
const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `${digits} hex digits, in small letters`);
const ranges = z
  .string()
  .regex(/^[0-9a-fA-F:./,]*$/, 'prefixes with commas between them')
  .max(2_000);

/** CloudWatch keeps logs for one of these many days. */
const LOG_DAYS: readonly number[] = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653];

export const hubSettings = z.strictObject({
  /** Names the stacks and what AWS does not name by itself. The topics are fixed: an account has one hub in a region. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{1,30}$/, 'small letters, digits and hyphens, at most 31, a letter first')
    .default('honeymesh'),
  /** Where it runs; without it: the region of the credentials that deploy it. */
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region, such as eu-central-1')
    .optional(),
  /** The mesh cluster whose hosts this hub serves, and the public key of its offline root: `honeymesh mesh init` shows both. */
  cluster: hex(32),
  root: hex(64),
  /** Prefixes of the fleet's own: advice against them is refused. */
  fleetRanges: ranges.default(''),
  /** Prefixes that no advice may touch; `default`: all that is not public. */
  neverAdvised: z.union([z.literal('default'), ranges]).default('default'),
  /** Distinct sites that make a sighting urgent. */
  quorumSites: whole(2, 100).default(2),
  /** Refusals of one host in a minute beyond which its certificate is set INACTIVE. */
  quarantineAfter: whole(10, 100_000).default(1_200),
  /** What urgent messages may cause, in deliveries a second; AWS allows an account 20,000. */
  deliveriesPerSecond: whole(1, 1_000_000).default(10_000),
  /** How often the digest goes out. Its deliveries are most of the bill. */
  digestMinutes: whole(1, 60).default(1),
  /** arm64 is a fifth cheaper; x86_64 for a region without it. */
  architecture: z.enum(['arm64', 'x86_64']).default('arm64'),
  /** nodejs22.x for a region, or an emulator, that has no 24 yet. */
  runtime: z.enum(['nodejs24.x', 'nodejs22.x']).default('nodejs24.x'),
  /** What becomes of tables, bucket and signing key when the stack is deleted. */
  onDelete: z.enum(['retain', 'destroy']).default('retain'),
  logDays: whole(1, 3653)
    .refine(days => LOG_DAYS.includes(days), `one of ${LOG_DAYS.join(', ')}`)
    .default(30),
  /** Off for a new account: where 10 functions may run at once AWS reserves none of them. */
  reserveConcurrency: truth.default(true),
  /** Off for emulators only, which speak plain HTTP. */
  enforceSsl: truth.default(true),
  /** Gets alarms and warnings of the budget; without it alarms show in the console only. */
  mail: z.email().optional(),
  /** US dollars a month; a mail goes out at 80 % and where the forecast passes it. Takes effect with `mail`. */
  budget: whole(1, 1_000_000).default(100),
});

export type HubSettings = z.infer<typeof hubSettings>;
export type HubSettingsInput = z.input<typeof hubSettings>;

/** Reads the settings through CDK's context; a value that does not fit, or is not there, ends the synthesis with what is wrong. */
export function readSettings(context: (key: string) => unknown): HubSettings {
  const given: Record<string, unknown> = {};
  for (const key of Object.keys(hubSettings.shape)) {
    const value = context(key);
    if (value !== undefined) given[key] = value;
  }
  const read = hubSettings.safeParse(given);
  if (read.success) return read.data;
  const wrong = read.error.issues.map(issue => `  ${issue.path.join('.')}: ${issue.message}`).join('\n');
  throw new Error(`these settings of the hub do not fit (cdk.json's context, or -c KEY=VALUE; docs/hub.md lists them):\n${wrong}`);
}
