/** `bad-user`: that is no Matrix id of a person. */
export class ErasureError extends Error {
  constructor(
    readonly code: 'bad-user',
    message: string,
  ) {
    super(message);
    this.name = 'ErasureError';
  }
}
