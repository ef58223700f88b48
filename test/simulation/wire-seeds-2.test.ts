import { stories } from './wire-seeds.ts';

stories({ part: 1, of: 2 });
