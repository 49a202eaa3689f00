/**
 * What can keep a local homeserver from coming up:
 * - `no-python`: no Python of the age needed, or one without its venv module.
 * - `no-network`: pip could not reach a package index.
 * - `install-failed`: pip ran and failed for another reason; the message ends with its last lines.
 * - `start-failed`: Synapse ended by itself or did not answer within its deadline.
 * - `refused`: the homeserver refused a user.
 */
export class DevError extends Error {
  constructor(
    readonly code: 'no-python' | 'no-network' | 'install-failed' | 'start-failed' | 'refused',
    message: string,
  ) {
    super(message);
    this.name = 'DevError';
  }
}

/** The two ways on when there can be no local Synapse, in the words that end such an error's message. */
export const waysOn =
  'Two ways on: set MATRIX_HOMESERVER_URL to a homeserver that you have, ' +
  'or start everything with Docker: docker compose up --wait';
