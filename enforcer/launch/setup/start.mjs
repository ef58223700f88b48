/**
 * What `npm start` does first: the set-up for running. The script in package.json then lets the shell become `honeymesh run`, so that signals and
 * the exit code go straight between npm and the launcher; Node 18 cannot replace itself by another program.
 */
import { build } from './build.mjs';
import { installDebianPackages, installNodePackages, log, mountFileSystems, settingUp } from './install.mjs';

await settingUp(() => {
  installNodePackages();
  installDebianPackages('running');
  build({ log });
  mountFileSystems();
});
