import { createServer } from 'node:net';

/** A TCP port of 127.0.0.1 that is free now: `preferred` when it is, else one that the system picks. */
export async function freePort(preferred = 0): Promise<number> {
  return (
    (await bindable(preferred)) ??
    (await bindable(0)) ??
    Promise.reject(new Error('No TCP port is free on 127.0.0.1'))
  );
}

function bindable(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}
