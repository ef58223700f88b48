/** What is said to a shell, or smuggled to one: orders, and downloads in the ways that droppers have. */
import { OPAQUE, type Rule, SAID, transfer, WEB } from './rules.ts';

const URL_LIKE = '(?:[hf]ttps?:|tftp:|[\\w.-]{1,64}\\.\\w{1,24}[:/]|\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3})';
const fetching = (verb: string): RegExp => new RegExp(`(?<![\\w.-])${verb}(?:\\.exe)?\\s(?:[^|;&\\n]{0,160}\\s)?['"]?${URL_LIKE}`);

export const COMMAND_RULES: readonly Rule[] = [
  transfer('download', { places: SAID | WEB, words: ['wget'], shape: fetching('wget') }),
  transfer('download', { places: SAID | WEB, words: ['curl'], shape: fetching('curl') }),
  transfer('download-tftp', {
    places: SAID | WEB,
    words: ['tftp', 'ftpget'],
    shape: /(?<![\w.-])(?:tftp|ftpget)\s[^|;&\n]{0,160}\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/,
  }),
  transfer('dropper', { places: SAID | WEB | OPAQUE, words: ['\\x7f\\x45\\x4c\\x46', '\\177\\105\\114\\106'] }),
];
