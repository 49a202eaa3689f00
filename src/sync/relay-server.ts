import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { createSecureContext } from 'node:tls';
import { SyncError } from './errors.js';

/** Certificate chain and private key, as PEM. */
export interface RelayTls {
  cert: string | Buffer;
  key: string | Buffer;
}

/** A request line and headers may take so long; a client that never finishes them holds a socket no longer. */
const headersMs = 10_000;

/** The server under a relay, over TLS where a certificate is given. Throws `bad-certificate`. */
export function createRelayServer(tls: RelayTls | undefined): Server | TlsServer {
  const timing = {
    headersTimeout: headersMs,
    requestTimeout: headersMs,
    connectionsCheckingInterval: 2_000,
  };
  if (!tls) return createServer(timing);
  assertTls(tls);
  return createTlsServer({ ...timing, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: headersMs });
}

/** From the next connection on. Throws `bad-certificate`, and the old one stays. */
export function replaceTls(server: Server | TlsServer, tls: RelayTls): void {
  assertTls(tls);
  if ('setSecureContext' in server) server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' });
}

function assertTls(tls: RelayTls): void {
  try {
    createSecureContext({ ...tls, minVersion: 'TLSv1.2' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SyncError(
      'bad-certificate',
      `UNDERSTUDY_RELAY_TLS_CERT_FILE and _KEY_FILE are no certificate and its key (${code ?? message}).`,
      { cause: error },
    );
  }
}

/** Rejects with `port-in-use` or `cannot-listen`; errors of the listening socket after that go to `later`. */
export function listen(
  server: Server | TlsServer,
  host: string,
  port: number,
  later: (error: Error) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error & { code?: string }) => {
      const where = `${host}:${port}`;
      reject(
        error.code === 'EADDRINUSE'
          ? new SyncError('port-in-use', `The relay cannot listen on ${where}: the port is in use.`, {
              cause: error,
            })
          : new SyncError('cannot-listen', `The relay cannot listen on ${where}: ${error.code}.`, {
              cause: error,
            }),
      );
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      server.on('error', later);
      resolve();
    });
  });
}
