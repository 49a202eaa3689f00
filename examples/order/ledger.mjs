/**
 * The card company, as far as this story needs one: a folder with one file per charge. Like any service worth paying
 * through, it takes a key with each charge and does the same charge once.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Charges under `key`, or finds that it was charged under it before. */
export async function charge(ledger, { key, order, amount }) {
  await mkdir(ledger, { recursive: true });
  const file = join(ledger, `${key}.json`);
  const draft = join(ledger, `draft-${randomUUID()}`);
  await writeFile(draft, JSON.stringify({ order, amount, receipt: randomInt(1e6, 1e7) }));
  // A link is made whole or not at all, and never over another: that is what makes a charge happen once.
  const first = await link(draft, file).then(
    () => true,
    (error) => {
      if (error.code !== 'EEXIST') throw error;
      return false;
    },
  );
  await unlink(draft);
  const { receipt } = JSON.parse(await readFile(file, 'utf8'));
  return { receipt, first };
}

/** All charges that were made. */
export async function charges(ledger) {
  const files = (await readdir(ledger)).filter((name) => name.endsWith('.json'));
  return Promise.all(files.map(async (name) => JSON.parse(await readFile(join(ledger, name), 'utf8'))));
}
