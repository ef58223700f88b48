/** Requests to web servers: exploits by their shape first, products by their paths after. */
import { ANYWHERE, exploit, HEADER, MAIL, NAME, probe, type Rule, TARGET, WEB } from './rules.ts';

export const HTTP_RULES: readonly Rule[] = [
  exploit('log4shell', { places: ANYWHERE, words: ['${jndi:'], shape: /\$\{jndi:[a-z${:]/ }),
  exploit('shellshock', { places: HEADER | TARGET | MAIL | NAME, words: ['() {', '(){'], shape: /\(\) ?\{[^}]{0,64};? ?\}/ }),
  exploit('path-traversal', { places: WEB, words: ['../../', '..\\..\\'] }),
  probe('secrets-probe', { places: TARGET, words: ['/.env', '/.git/'] }),
];
