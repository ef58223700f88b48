import { stories } from './wire-seeds.ts';

stories({ part: 0, of: 2 });
