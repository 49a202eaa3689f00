/** The machine id that begins an actor's key. */
export const machineOf = (key: string): string => key.slice(0, Math.max(key.indexOf('/'), 0));
