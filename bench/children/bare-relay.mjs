/** The least that a WebSocket relay can do: every message goes to every other connection as it came. */
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import { serve } from './serve.mjs';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (const other of server.clients) {
      if (other !== socket && other.readyState === WebSocket.OPEN) other.send(data, { binary: true });
    }
  });
});

serve({
  async url() {
    if (server.address() === null) await once(server, 'listening');
    return `ws://127.0.0.1:${server.address().port}`;
  },
});
