/** Seeds of personas, found by what the persona is. */
import { createHash } from 'node:crypto';
import { createPersona, type Persona } from '#enforcer/traps/protocols/persona.ts';

/** The seed of a number: the same on each machine. */
export const seedOf = (number: number): Buffer => createHash('sha256').update(`seed ${number}`).digest();

/** The first seed whose persona satisfies `wanted`. */
export function seedWith(wanted: (persona: Persona) => boolean): Buffer {
  for (let number = 0; number < 1_000; number++) if (wanted(createPersona(seedOf(number)))) return seedOf(number);
  throw new Error('no seed of 1,000 gives such a persona');
}
