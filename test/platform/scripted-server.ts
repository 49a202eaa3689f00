import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Request {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: unknown;
}

export type Script = (response: ServerResponse, request: Request, count: number) => void | Promise<void>;

export interface ScriptedServer {
  url: string;
  requests: Request[];
}

/** A real HTTP server that answers as the test says; `count` is 1 for the first request. */
export async function scriptedServer(script: Script): Promise<ScriptedServer> {
  const requests: Request[] = [];
  const server = createServer((incoming, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      const { method = '', url: path = '', headers } = incoming;
      const request = {
        method,
        path,
        headers,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
      requests.push(request);
      await script(response, request, requests.length);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** Ends the connection without an end of the body. */
export function cut(response: ServerResponse): void {
  response.write('', () => response.destroy());
}
