import { WebSocket } from 'ws';
import { relayId } from '../claims/token.js';
import { closeReason } from './close-codes.js';
import { protocol, relayHeader, viewerProtocol } from './frame.js';

export interface SocketEvents {
  /** Before `open`: the relay's lasting name, if it says one. */
  upgraded(relay: string | undefined): void;
  open(): void;
  /** `binary` is false for a text frame, which this protocol does not have. */
  message(data: Uint8Array, binary: boolean): void;
  /** Exactly once, whatever went wrong, and never before this call returns. */
  closed(reason: string): void;
}

/**
 * Opens a WebSocket to a relay. Everything that can go wrong, from an unknown host to a reset in the middle
 * of the upgrade, ends in `closed`, and nothing is thrown from an event.
 */
export function openSocket(
  url: string,
  options: { token: string | undefined; readOnly: boolean; maxFrameBytes: number; handshakeMs: number },
  events: SocketEvents,
): WebSocket {
  const socket = new WebSocket(url, options.readOnly ? viewerProtocol : protocol, {
    perMessageDeflate: false,
    handshakeTimeout: options.handshakeMs,
    maxPayload: options.maxFrameBytes,
    ...(options.token === undefined ? {} : { headers: { authorization: `Bearer ${options.token}` } }),
  });
  socket.once('upgrade', ({ headers }) => {
    events.upgraded(relayId.safeParse(headers[relayHeader]).data);
  });
  let reason: string | undefined;
  socket.on('error', (error: Error & { code?: string }) => {
    reason ??= error.code ?? error.message;
  });
  socket.on('unexpected-response', (_request, response) => {
    reason = `http-${response.statusCode}`;
    response.on('error', (error) => (reason ??= error.message));
    response.resume();
    socket.terminate();
  });
  socket.once('close', (code) => events.closed(reason ?? closeReason(code)));
  socket.on('open', () => events.open());
  socket.on('message', (data, binary) => events.message(data as Buffer, binary));
  return socket;
}
