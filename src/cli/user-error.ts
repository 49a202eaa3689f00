/** 1: it failed; 2: a setting is wrong or missing; 3: something needed cannot be reached. */
export type ExitCode = 1 | 2 | 3;

/**
 * What went wrong in words for the person at the terminal: one line with the cause, the setting where there is
 * one, and what to do. Shown without a stack.
 */
export class UserError extends Error {
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'UserError';
  }
}

/** A wrong or missing setting. */
export const wrongSetting = (message: string, cause?: unknown): UserError =>
  new UserError(2, message, cause === undefined ? undefined : { cause });
