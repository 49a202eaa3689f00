import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A line to a server on this machine that a test can cut. */
export interface Line {
  port: number;
  /** Ends every connection, and refuses new ones. */
  cut(): void;
  /** Ends the near side of every connection; the server goes on waiting at the far side. New ones are let through. */
  abandon(): void;
  /** Passes nothing more on in either direction, and ends nothing. */
  freeze(): void;
  /** Lets everything through again. */
  mend(): void;
  close(): Promise<void>;
}

export async function openLine(serverPort: number): Promise<Line> {
  let passes = true;
  const pairs = new Set<{ near: Socket; far: Socket }>();
  const server = createServer((near) => {
    if (!passes) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(serverPort, '127.0.0.1');
    const pair = { near, far };
    pairs.add(pair);
    near.pipe(far, { end: false });
    far.pipe(near, { end: false });
    // A cut line is what the test is about.
    near.on('error', () => {});
    far.on('error', () => near.destroy());
    near.on('end', () => far.end());
    far.on('close', () => {
      near.destroy();
      pairs.delete(pair);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const each = (act: (pair: { near: Socket; far: Socket }) => void): void => {
    for (const pair of pairs) act(pair);
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      passes = false;
      each(({ near, far }) => {
        near.resetAndDestroy();
        far.resetAndDestroy();
      });
    },
    abandon: () => each(({ near }) => near.resetAndDestroy()),
    freeze: () => {
      each(({ near, far }) => {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      });
    },
    mend: () => {
      passes = true;
    },
    async close() {
      each(({ near, far }) => {
        near.destroy();
        far.destroy();
      });
      server.close();
      await once(server, 'close');
    },
  };
}
