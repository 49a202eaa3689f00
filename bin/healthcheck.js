#!/usr/bin/env node
// Exit code 0 while the process of this container is ready, for Docker's health check. Loads nothing, since it runs often.
const url = `http://127.0.0.1:${process.env.UNDERSTUDY_HTTP_PORT}/readyz`;
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(4_000) });
  // `docker inspect` shows what was printed.
  process.stdout.write(await answer.text());
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  process.stdout.write(`${url}: ${error.cause?.code ?? error.message}\n`);
  process.exitCode = 1;
}
