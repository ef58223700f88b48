/**
 * Makes a code with which so many hosts of one site may enrol by claim: `npm run hub:code -- --table NAME --site SITE [--hosts 1] [--hours 24]`, with the
 * operator's AWS credentials. The code is printed once; the table has its hash.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { isSiteName } from '@honeymesh/intel/certificates';
import { HOUR_MS } from '@honeymesh/intel/time';
import { now, sleep } from './functions/aws/time.ts';
import { codeName } from './hub/enrolment-codes.ts';
import { createCodes } from './store/codes.ts';
import { createDynamoTables } from './store/dynamo.ts';

const MOST_HOSTS = 10_000;
const MOST_HOURS = 30 * 24;

function usage(why: string): never {
  console.error(`${why}\nusage: npm run hub:code -- --table NAME --site SITE [--hosts 1..${MOST_HOSTS}] [--hours 1..${MOST_HOURS}]`);
  process.exit(2);
}

function within(text: string, most: number, what: string): number {
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= 1 && number <= most ? number : usage(`--${what} ${text}: a whole number from 1 to ${most} is wanted`);
}

const { values } = parseArgs({ options: { table: { type: 'string' }, site: { type: 'string' }, hosts: { type: 'string' }, hours: { type: 'string' } } });
const { table, site } = values;
if (table === undefined) usage('--table is missing: npm run hub:deploy prints the name of the table of codes');
if (site === undefined || !isSiteName(site)) usage('--site is missing or no name of a site');
const hosts = within(values.hosts ?? '1', MOST_HOSTS, 'hosts');
const expiresAt = now() + within(values.hours ?? '24', MOST_HOURS, 'hours') * HOUR_MS;

const code = randomBytes(16).toString('base64url');
const tables = createDynamoTables({ names: { codes: table } }, { client: new DynamoDBClient({}), now, sleep });
await createCodes(tables).create(codeName(code), { site, left: hosts, expiresAt });
console.log(code);
console.error(`for ${hosts === 1 ? 'one host' : `${hosts} hosts`} at ${site}, until ${new Date(expiresAt).toISOString()}`);
