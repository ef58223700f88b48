/** Where the trap process starts. */
import { TRAP_TURN_MS, takeShortTurns } from '../../kernel/turns.ts';
import { runTrapProcess } from './trap-process.ts';

takeShortTurns(TRAP_TURN_MS);
runTrapProcess();
