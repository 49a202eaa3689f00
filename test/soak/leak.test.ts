import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Inspector, inspectable } from '../world/inspector.js';
import { Process } from '../world/process.js';
import { growth, verdict, type Sample } from './growth.js';

const KB = 1024;
/** What a prompt might leave, in numbers of 8 bytes. */
const OF_20_KB = `new Array(${(20 * KB) / 8}).fill(0.5)`;
const EACH_ROUND = 50;

async function idleProcess(): Promise<Process> {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-leak-'));
  const script = join(dir, 'idle.cjs');
  await writeFile(script, 'setInterval(() => {}, 1000);');
  const process = new Process('idle', [], { ...inspectable, UNDERSTUDY_HTTP_PORT: '0' }, script);
  onTestFinished(async () => {
    await process.kill();
    await rm(dir, { recursive: true, force: true });
  });
  process.launch();
  await process.line(({ text }) => text.startsWith('Debugger listening'), { from: 0 });
  return process;
}

/** Evaluates something before every sample but the first. */
async function samples(inspector: Inspector, before: string): Promise<Sample[]> {
  const taken: Sample[] = [];
  for (let count = 0; count <= 12 * EACH_ROUND; count += EACH_ROUND) {
    if (count > 0) await inspector.evaluate(before);
    taken.push([count, (await inspector.memory()).heap]);
  }
  return taken;
}

it('a leak of 20 kB each, planted in a real process, is red; what is made and let go of is not', async () => {
  const inspector = await Inspector.attach(await idleProcess());
  onTestFinished(() => inspector.close());
  const made = `Array.from({ length: ${EACH_ROUND} }, () => ${OF_20_KB})`;
  expect(verdict(growth(await samples(inspector, `${made}.length`)), 8 * KB)).toBe('steady');
  const leaking = growth(await samples(inspector, `(globalThis.planted ??= []).push(${made})`));
  expect(verdict(leaking, 8 * KB)).toBe('grows');
  expect(leaking.each / (20 * KB)).toBeCloseTo(1, 1);
});

it('an inspector whose process has gone says so', async () => {
  const process = await idleProcess();
  const inspector = await Inspector.attach(process);
  const unanswered = inspector.evaluate('new Promise(() => {})');
  await Promise.all([expect(unanswered).rejects.toThrow('the process has gone'), process.kill()]);
});
