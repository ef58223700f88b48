/** The measuring process of `npm run bench:kernel`: in the sender's network namespace, on one core. Its last line is what it found, as JSON. */

import { type Filters, loadFilters } from './filters.ts';
import { type LiveFigures, measureLive, type Receiver } from './live.ts';
import { checkCounters, measureTestRuns, type TestRunFigures } from './test-runs.ts';

export interface Task {
  readonly rounds: number;
  readonly receiver: Receiver;
}

export interface Figures {
  readonly testRuns: TestRunFigures;
  readonly live: LiveFigures;
  readonly memory: Filters['memory'];
}

const { rounds, receiver } = JSON.parse(process.argv[2] ?? '') as Task;
const filters = loadFilters();
const testRuns = await measureTestRuns(filters, rounds);
const live = await measureLive(filters, receiver, rounds);
checkCounters(filters);
console.log(JSON.stringify({ testRuns, live, memory: filters.memory } satisfies Figures));
filters.tester.close();
