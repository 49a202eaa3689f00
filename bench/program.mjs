import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const understudy = fileURLToPath(new URL('../bin/understudy.js', import.meta.url));

/** The surroundings of a measured process: none of our settings but those given. */
export function environment(settings = {}) {
  const ours = /^(MATRIX_|UNDERSTUDY_|OPENAI_|DATABASE_URL|DEBUG|NODE_OPTIONS)/;
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name));
  return { ...Object.fromEntries(kept), NODE_ENV: 'production', ...settings };
}

const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** No process that is measured outlives the benchmark, however that ends. */
export function endWithUs(child) {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

export const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null;
