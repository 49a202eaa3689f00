/**
 * Answers what the parent asks, one request after the other; `close` runs when the parent lets go of this process.
 */
export function serve(commands, close = () => undefined) {
  process.on('message', ({ name, args }) => {
    answer(commands[name], args).then(
      (value) => process.send({ value }),
      (error) => process.send({ error: error instanceof Error ? error.stack : String(error) }),
    );
  });
  process.once('disconnect', () => void end(close));
}

async function answer(command, args) {
  return command(args);
}

async function end(close) {
  await close();
  process.exit(0);
}

/** Nanoseconds of a clock that all processes of this machine share, as milliseconds. */
export const sharedNow = () => Number(process.hrtime.bigint()) / 1e6;
