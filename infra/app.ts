/** What cdk.json runs. */
import { createHub } from './hub.ts';

try {
  createHub().app.synth();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
