/** Options that several commands share. */
import { Option } from 'commander';

/** `-o human|json`: every list and every report has it. */
export const outputOption = (): Option => new Option('-o, --output <form>', 'for people or for programs').choices(['human', 'json']).default('human');

/** For an option that may be given several times. */
export const collect = (value: string, former: readonly string[] = []): readonly string[] => [...former, value];

/** Guessed passwords are kept as they came; who passes a list on may leave them out. */
export const maskOption = (): Option => new Option('--mask', 'show guessed secrets as their length and a short hash only');
