import { z } from 'zod';

/** Stands in every Automerge change, so that anyone can later say which event made it, where, in which epoch. */
const schema = z.object({ cause: z.string(), replica: z.string(), epoch: z.int() });
export type ChangeMessage = z.output<typeof schema>;

export function encodeChangeMessage({ cause, replica, epoch }: ChangeMessage): string {
  return JSON.stringify({ cause, replica, epoch });
}

/** Undefined for changes without such a message: the canonical first one, and whatever a stranger made. */
export function decodeChangeMessage(message: string | null | undefined): ChangeMessage | undefined {
  if (message === null || message === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(message);
  } catch (error) {
    // A message that is no JSON is a stranger's, which undefined says.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return schema.safeParse(parsed).data;
}
