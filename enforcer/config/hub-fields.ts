/** The keys of `hub`: where it is, as whom this host speaks there, whose signature counts. */
import * as z from 'zod';
import { readSigner } from '../relay/signers.ts';
import { type Place, readPlace } from './mesh-fields.ts';
import { bad } from './wording.ts';

export const HUB_PORT = 8883;
const MOST_SIGNERS = 4;
const LONGEST_PATH = 1_024;
/** IoT: letters, digits, `_`, `-`, `:`; of these a name in the mesh has no colon. */
const THING = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

const ENDPOINT_FORM = 'a name or an address with or without a port, such as abc-ats.iot.eu-central-1.amazonaws.com';
export const hubEndpoint = z
  .string({ error: issue => bad(issue.input, ENDPOINT_FORM) })
  .meta({ title: 'host[:port]' })
  .transform((text, context): Place => {
    const read = readPlace(text.trim(), HUB_PORT);
    if (read !== undefined) return read;
    context.issues.push({ code: 'custom', message: bad(text, ENDPOINT_FORM), input: text });
    return z.NEVER;
  });

export const isThingName = (text: string): boolean => THING.test(text);
const THING_FORM = 'the name of this host in the mesh: letters, digits, - and _ (IoT allows no dot)';
export const hubThing = z.string({ error: issue => bad(issue.input, THING_FORM) }).regex(THING, { error: issue => bad(issue.input, THING_FORM) });

const PATH_FORM = 'the absolute path of a PEM file';
export const pemPath = z
  .string({ error: issue => bad(issue.input, PATH_FORM) })
  .max(LONGEST_PATH, { error: issue => bad(issue.input, PATH_FORM) })
  .startsWith('/', { error: issue => bad(issue.input, PATH_FORM) });

const SIGNER_FORM = "the public key (SPKI in base64) of the hub's signing key";
export const hubSigners = z
  .array(
    z.string({ error: issue => bad(issue.input, SIGNER_FORM) }).refine(text => readSigner(text) !== null, { error: issue => bad(issue.input, SIGNER_FORM) }),
    { error: issue => bad(issue.input, `a list of ${SIGNER_FORM}`) },
  )
  .min(1, { error: 'names no key: no advisory would be believed' })
  .max(MOST_SIGNERS, { error: `holds more than ${MOST_SIGNERS} keys` });
