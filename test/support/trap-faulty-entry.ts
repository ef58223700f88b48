/** The trap process with mistakes in it: said the right words, it crashes, stalls or eats memory. Its heartbeat goes nowhere: no kernel is asked. */
import { isHostile, judgeObservation } from '#enforcer/detect/judge.ts';
import { runTrapProcess } from '#enforcer/traps/server/trap-process.ts';

const kept: unknown[] = [];

runTrapProcess({
  openHeartbeat: () => ({ beat() {} }),
  judge: {
    judge(observation, about) {
      const said = JSON.stringify(observation);
      if (said.includes('CRASH')) process.abort();
      if (said.includes('THROW')) throw new Error('thrown in a session');
      if (said.includes('LATER'))
        setImmediate(() => {
          throw new Error('thrown where nobody catches');
        });
      if (said.includes('STALL')) for (;;);
      if (said.includes('HEAP')) for (;;) kept.push({ more: said.repeat(4) + kept.length });
      return judgeObservation(observation, about);
    },
    isHostile,
  },
});
