import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import * as A from '@automerge/automerge';
import { afterAll } from 'vitest';
import { isDocumentChunk } from '../../src/storage/chunk-key.js';
import { FolderSource } from '../../src/storage/folder-source.js';
import { startChild, type Child } from '../storage/children/build.js';
import type { Holds, Plan } from './plan.js';

/** A folder of this file's own, gone when its tests are over. */
export function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-damage-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10 }));
  return dir;
}

interface LoggedLine {
  level: string;
  message: string;
  [field: string]: unknown;
}

/** A replica's process, by what it says. */
export class Replica {
  private constructor(
    readonly child: Child,
    readonly plan: Plan,
  ) {}

  static start(program: string, plan: Plan): Replica {
    return new Replica(startChild(program, [JSON.stringify(plan)]), plan);
  }

  #said(what: string): unknown[] {
    const head = `${what} `;
    const lines = this.child.lines.filter((line) => line.startsWith(head));
    return lines.map((line) => JSON.parse(line.slice(head.length)) as unknown);
  }

  get log(): LoggedLine[] {
    return this.#said('log') as LoggedLine[];
  }

  /** `open`, or `waiting` for peers: as far as it comes by itself. */
  async stands(): Promise<'open' | 'waiting'> {
    const line = await this.child.line((text) => {
      return (
        /^(open|failed) /.test(text) || (text.startsWith('status ') && text.includes('waiting-for-peers'))
      );
    });
    if (line.startsWith('failed ')) throw new Error(`it did not start: ${line}`);
    return line.startsWith('open ') ? 'open' : 'waiting';
  }

  /** What it holds when it has opened. */
  async holds(): Promise<Holds> {
    const line = await this.child.line((text) => /^(open|failed) /.test(text));
    if (line.startsWith('failed')) throw new Error(`it did not start: ${line}`);
    return JSON.parse(line.slice('open '.length)) as Holds;
  }

  kill(): Promise<void> {
    return this.child.kill();
  }
}

/** Every document that what is good in a folder makes, by its id. */
export async function documentsOnDisk(dir: string): Promise<Map<string, A.Doc<unknown>>> {
  const source = new FolderSource(join(dir, 'documents'));
  const documents = new Map<string, A.Doc<unknown>>();
  for (const key of await source.keys([])) {
    const [id] = key;
    if (id === undefined || !isDocumentChunk(key)) continue;
    const look = await source.look(key);
    if (look.state !== 'good') continue;
    documents.set(id, A.loadIncremental(documents.get(id) ?? A.init(), look.bytes));
  }
  return documents;
}
