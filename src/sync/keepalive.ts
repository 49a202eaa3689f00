import type { WebSocket } from 'ws';
import type { Cancel, Clock } from '../time/clock.js';

export interface KeepaliveOptions {
  intervalMs: number;
  /** Intervals in a row without any frame from the other side before it counts as dead. */
  misses: number;
}

export const defaultKeepalive: KeepaliveOptions = { intervalMs: 5_000, misses: 6 };

/**
 * Ends a connection whose other side is silent. It counts its own ticks and not the time, so that a process
 * that was itself blocked or suspended does not take its own absence for the other's.
 */
export function keepAlive(
  socket: WebSocket,
  clock: Clock,
  { intervalMs, misses }: KeepaliveOptions,
  dead: () => void,
): Cancel {
  let silent = 0;
  const heard = () => {
    silent = 0;
  };
  socket.on('pong', heard);
  socket.on('ping', heard);
  socket.on('message', heard);
  const cancel = clock.every(intervalMs, () => {
    if (socket.isPaused) return;
    if (silent >= misses) return dead();
    silent += 1;
    if (socket.readyState === socket.OPEN) socket.ping();
  });
  socket.once('close', cancel);
  return cancel;
}
