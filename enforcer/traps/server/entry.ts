/** Where the trap process starts. */
import { runTrapProcess } from './trap-process.ts';

runTrapProcess();
