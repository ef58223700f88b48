/** How a wrong value is spoken of: short, escaped, and beside it the right form. */
import { type Address, type AddressFailure, parseAddress, prefixOf } from '@honeymesh/intel/address';

const LONGEST_SHOWN = 40;

/** The value as the operator wrote it, bounded and without control characters. */
export function shown(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object' && input !== null) return 'a group of keys';
  const text = typeof input === 'string' ? JSON.stringify(input.slice(0, LONGEST_SHOWN + 1)) : String(input);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, '?');
  return clean.length > LONGEST_SHOWN ? `${clean.slice(0, LONGEST_SHOWN)}..."` : clean;
}

export function bad(input: unknown, form: string): string {
  if (input === null || input === undefined) return `is empty: give ${form}, or take the line out`;
  return `${shown(input)} is wrong: give ${form}`;
}

/** Why `text` is no prefix; host bits are shown cleared, since one of the two is what was meant. */
export function prefixProblem(text: string, why: AddressFailure): string {
  switch (why) {
    case 'host-bits-set': {
      const [address = '', bits = ''] = text.split('/');
      const read = parseAddress(address);
      if (!read.ok) return `${shown(text)} has bits set beyond its length`;
      const width = address.includes(':') && !read.value.includes(':') ? Number(bits) - 96 : Number(bits);
      return `${shown(text)} has bits set beyond its length: did you mean ${prefixOf(read.value as Address, width)} or ${read.value}?`;
    }
    case 'bad-prefix-length':
      return `${shown(text)} has a wrong prefix length: give 0 to 32 (IPv4) or 0 to 128 (IPv6)`;
    case 'not-an-address':
    case 'not-a-prefix':
      return `${shown(text)} is not an address or prefix: give one such as 203.0.113.7, 198.51.100.0/24 or 2001:db8::/32`;
  }
}
