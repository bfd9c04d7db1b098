/** What socket.io-client's `io` gives, as far as the library uses it, joined to the model server. */

import { copyOf } from './refusal.js';

const late = () => new Error('operation has timed out');

export class ModelSocket {
  connected = false;
  active = false;
  username = null;
  token = null;
  #handlers = new Map();
  #queue = Promise.resolve();

  constructor(server, name, options) {
    Object.assign(this, { server, name, options });
  }

  on(name, handler) {
    this.#handlers.set(name, handler);
  }

  connect() {
    this.options.auth(({ token }) => {
      this.token = token;
      this.username = this.server.tokens.get(token) ?? null;
      if (this.server.offline.has(this.name))
        return this.#fire('connect_error', new Error('transport error'));
      if (!this.username) return this.#fire('connect_error', new Error('unauthorized'));
      this.connected = true;
      this.server.sockets.add(this);
      return this.#fire('connect');
    });
  }

  disconnect() {
    this.drop('io client disconnect');
  }

  drop(reason) {
    this.server.sockets.delete(this);
    if (!this.connected) return;
    this.connected = false;
    this.#fire('disconnect', reason);
  }

  /** In order, and never inside the caller's turn. */
  deliver(name, payload) {
    this.#queue = this.#queue.then(() => {
      if (this.connected) this.#fire(name, payload);
    });
  }

  timeout() {
    return {
      emitWithAck: async (name, payload) => {
        await null;
        const fault = name === 'message:send' ? this.server.faults.get(this.username)?.shift() : undefined;
        if (fault === 'request' || this.server.offline.has(this.name)) throw late();
        const ack = await this.server.handle(this, name, copyOf(payload));
        if (fault === 'ack' || !this.connected) throw late();
        return ack;
      },
    };
  }

  #fire(name, payload) {
    this.#handlers.get(name)?.(payload);
  }
}
