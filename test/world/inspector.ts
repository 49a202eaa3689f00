import WebSocket from 'ws';
import { z } from 'zod';
import type { Process } from './process.js';

/** What a process starts with so that it can be looked into: a port of its own, on loopback, named on stderr. */
export const inspectable = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

const LISTENING = /^Debugger listening on (ws:\/\/127\.0\.0\.1:\d+\/\S+)$/;
const DEADLINE_MS = 60_000;

const reply = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string() }).optional(),
});
const evaluated = z.object({
  result: z.object({ value: z.unknown().optional() }),
  exceptionDetails: z.object({ text: z.string() }).optional(),
});

/** Bytes of one process, right after a garbage collection. */
export interface Memory {
  /** Of JavaScript's objects. */
  heap: number;
  /** Of buffers that such objects hold. */
  external: number;
  /** Of all that it has of the machine's. */
  rss: number;
}

const memory = z.object({ heapUsed: z.number(), external: z.number(), rss: z.number() });

/** Looks into a Node process by its inspector (Chrome DevTools Protocol): the process itself needs nothing for that. */
export class Inspector {
  #next = 0;

  private constructor(private readonly socket: WebSocket) {}

  /** The process must have been started with {@link inspectable}; after a restart it is another one. */
  static async attach(process: Process): Promise<Inspector> {
    const url = process.lines
      .map(({ text }) => LISTENING.exec(text)?.[1])
      .findLast((one) => one !== undefined);
    if (url === undefined) throw new Error(`${process.name} was not started to be inspected`);
    const socket = new WebSocket(url, { handshakeTimeout: DEADLINE_MS, perMessageDeflate: false });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return new Inspector(socket);
  }

  /** Everything that can go has gone: finalizers run between two collections, and what they let go of goes with the second. */
  async memory(): Promise<Memory> {
    for (let times = 0; times < 2; times += 1) {
      await this.call('HeapProfiler.collectGarbage');
      await this.evaluate('new Promise((resolve) => setTimeout(resolve, 20))');
    }
    await this.call('HeapProfiler.collectGarbage');
    const { heapUsed, external, rss } = memory.parse(await this.evaluate('process.memoryUsage()'));
    return { heap: heapUsed, external, rss };
  }

  /** The JSON of an expression's value, awaited. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = evaluated.parse(await this.call('Runtime.evaluate', options));
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.text}`);
    return result.value;
  }

  close(): void {
    this.socket.terminate();
  }

  call(method: string, params: object = {}): Promise<unknown> {
    const id = (this.#next += 1);
    return new Promise((resolve, reject) => {
      const end = (error?: Error, result?: unknown) => {
        clearTimeout(timer);
        this.socket.off('message', hear).off('close', gone);
        if (error) reject(error);
        else resolve(result);
      };
      const hear = (data: Buffer) => {
        const said = reply.safeParse(JSON.parse(data.toString()));
        if (!said.success || said.data.id !== id) return;
        end(said.data.error && new Error(`${method}: ${said.data.error.message}`), said.data.result);
      };
      const gone = () => end(new Error(`${method}: the process has gone`));
      const timer = setTimeout(() => end(new Error(`${method}: no answer`)), DEADLINE_MS);
      this.socket.on('message', hear).once('close', gone);
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }
}
