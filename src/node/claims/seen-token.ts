import { join } from 'node:path';
import { z } from 'zod';
import { later } from '../../claims/asker.js';
import { compareTokens, fencingToken, type FencingToken } from '../../claims/token.js';
import { readJson, writeJson } from '../../storage/json-file.js';

const schema = z.object({ seen: fencingToken.optional() });

/**
 * `claims.json`: the highest token that this replica has heard of. By it an authority whose disk was put back to an
 * older one learns of that. It rises once in a block of tokens, so that hardly a claim waits for the disk.
 */
export class SeenToken {
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private token: FencingToken | undefined,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** What cannot be read is begun anew, and `failed` is told. */
  static async open(dataDir: string, failed: (error: unknown) => void): Promise<SeenToken> {
    const path = join(dataDir, 'claims.json');
    try {
      return new SeenToken(path, (await readJson(path, schema))?.seen, failed);
    } catch (error) {
      failed(error);
      return new SeenToken(path, undefined, failed);
    }
  }

  get(): FencingToken | undefined {
    return this.token;
  }

  /** On disk when it resolves, or it was told that it could not be; never rejects. */
  async saw(token: FencingToken): Promise<void> {
    if (this.token === undefined || compareTokens(this.token, token) < 0) {
      this.token = later(this.token, token);
      this.#writing = this.#writing
        .then(() => writeJson(this.path, { seen: this.token }))
        .catch((error: unknown) => this.failed(error));
    }
    await this.#writing;
  }
}
