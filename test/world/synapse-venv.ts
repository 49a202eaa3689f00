import { fileURLToPath } from 'node:url';

/** Synapse's virtual environment for tests: kept between runs, and gone with `npm ci`. */
export const synapseVenv = fileURLToPath(
  new URL('../../node_modules/.cache/understudy/synapse', import.meta.url),
);
