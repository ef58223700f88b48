export const now = (): number => Date.now();

/** About so long: two that met once should not meet again. */
export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms * (0.5 + Math.random())));
