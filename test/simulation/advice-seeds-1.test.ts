import { runs } from './advice-seeds.ts';

runs({ part: 0, of: 2 });
