import { runs } from './advice-seeds.ts';

runs({ part: 1, of: 2 });
