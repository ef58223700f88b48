/** The suites of `npm test`, in the order in which they run. Each but `check` is the vitest project and the folder under test/ of its name. */

/**
 * `budgetSeconds`: what it should take on two cores; over it is a warning. `needsMachine`: root, the native parts and the Debian packages.
 * The budgets of a group add up to what the group may take: quick 4 minutes, mesh 3, kernel 5, cloud 4.
 */
export const SUITES = [
  { name: 'check', group: 'quick', budgetSeconds: 30, needsMachine: false },
  { name: 'unit', group: 'quick', budgetSeconds: 110, needsMachine: false },
  { name: 'property', group: 'quick', budgetSeconds: 60, needsMachine: false },
  { name: 'fuzz', group: 'quick', budgetSeconds: 40, needsMachine: false },
  { name: 'simulation', group: 'mesh', budgetSeconds: 110, needsMachine: false },
  { name: 'kernel', group: 'kernel', budgetSeconds: 90, needsMachine: true },
  { name: 'system', group: 'kernel', budgetSeconds: 210, needsMachine: true },
  { name: 'interop', group: 'mesh', budgetSeconds: 70, needsMachine: true },
  { name: 'cloud', group: 'cloud', budgetSeconds: 240, needsMachine: true },
];

/** A suite that hangs is ended here. Far above the budget: a slow machine must get a warning, not a failure. */
export const hardLimitSeconds = ({ budgetSeconds }) => budgetSeconds * 3 + 60;

/** The suites that the names select (suites, or groups such as `quick`), all of them for none. `unknown`: names that select nothing. */
export function select(names) {
  const unknown = names.filter(name => !SUITES.some(suite => suite.name === name || suite.group === name));
  const suites = names.length === 0 ? SUITES : SUITES.filter(suite => names.includes(suite.name) || names.includes(suite.group));
  return { suites, unknown };
}
