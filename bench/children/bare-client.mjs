/** One end of the bare relay: sends given frames at a pace, or notes when each frame comes. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { serve, sharedNow } from './serve.mjs';

let socket;
let received = [];

serve({
  async open({ url }) {
    socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on('message', () => received.push(sharedNow()));
    await once(socket, 'open');
  },
  async send({ frames, everyMs }) {
    const buffers = frames.map((frame) => Buffer.from(frame, 'base64'));
    const sent = [];
    for (const buffer of buffers) {
      sent.push(sharedNow());
      socket.send(buffer);
      await pause(everyMs);
    }
    return sent;
  },
  // One connection: frames come in the order in which they were sent.
  take() {
    const times = received;
    received = [];
    return times;
  },
});
