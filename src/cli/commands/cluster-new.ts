import { randomBytes } from 'node:crypto';

/** 32 random bytes: who does not know the id cannot guess it, and so cannot ask for a document of the cluster. */
export function run(): number {
  process.stdout.write(`${randomBytes(32).toString('base64url')}\n`);
  return 0;
}
