import type { ReadBefore } from '../../src/matrix/batch.js';

/** For whoever takes rooms in as /sync gives them. */
export const nothingBefore: ReadBefore = () => Promise.resolve({ events: [], goesOn: false });
