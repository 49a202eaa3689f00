import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { testPort } from './port.js';

/** A door on the way to a TCP port, such as a relay's: shut, it ends what runs through it and lets nobody in. */
export class Gate {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#enter(socket));
  #open = true;
  /** How often somebody came while it was shut. */
  turnedAway = 0;

  private constructor(
    readonly port: number,
    readonly target: number,
  ) {}

  static async start(target: number): Promise<Gate> {
    const gate = new Gate(await testPort(), target);
    gate.#server.listen(gate.port, '127.0.0.1');
    await once(gate.#server, 'listening');
    return gate;
  }

  shut(): void {
    this.#open = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  open(): void {
    this.#open = true;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.shut();
    await closed;
  }

  #enter(socket: Socket): void {
    if (!this.#open) {
      this.turnedAway += 1;
      return void socket.destroy();
    }
    const behind = connect(this.target, '127.0.0.1');
    for (const [one, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      // A reset is a way to close; 'close' follows.
      one.on('error', () => one.destroy());
      one.pipe(other);
    }
  }
}
