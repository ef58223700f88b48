/** Options that several commands share. */
import { Option } from 'commander';

/** `-o human|json`: every list and every report has it. */
export const outputOption = (): Option => new Option('-o, --output <form>', 'for people or for programs').choices(['human', 'json']).default('human');

/** For an option that may be given several times. */
export const collect = (value: string, former: readonly string[] = []): readonly string[] => [...former, value];
