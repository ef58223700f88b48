/** Enrolment codes by the hash of the code. */
import type { EnrolmentCode } from '../hub/enrolment-codes.ts';
import { numberOf, textOf } from './fields.ts';
import type { Tables } from './port.ts';

export interface Codes {
  get(name: string): Promise<EnrolmentCode | null>;
  create(name: string, code: EnrolmentCode): Promise<void>;
  /** One use of it; false: it was used meanwhile. */
  use(name: string, code: EnrolmentCode): Promise<boolean>;
}

export function createCodes(tables: Tables): Codes {
  return {
    async get(name) {
      const item = await tables.get('codes', { code: name });
      return item === undefined ? null : { site: textOf(item, 'site'), left: numberOf(item, 'left'), expiresAt: numberOf(item, 'expiresAt') };
    },
    create: async (name, { site, left, expiresAt }) => void (await tables.put('codes', { code: name, site, left, expiresAt })),
    use: (name, { site, left, expiresAt }) =>
      tables.put('codes', { code: name, site, left: left - 1, expiresAt }, [{ is: 'equal', attribute: 'left', value: left }]),
  };
}
