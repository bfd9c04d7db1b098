/**
 * socket.io-client's `io`, fetched when a socket is first connected: nobody who has yet to log in needs it. Stands in
 * for a socket with the part of its interface that the library uses; a client that cannot be fetched is a
 * `connect_error` that is not retried by itself, as a refused connection is.
 */

/**
 * @param {string} url namespace included
 * @param {object} options of `io`; `autoConnect` must be false
 * @returns {any} what the library's socket.js uses of a Socket
 */
export function lazyIo(url, options) {
  /** @type {import('socket.io-client').Socket|null} */
  let socket = null;
  /** @type {[string, (...values: any[]) => void][]} */
  const handlers = [];
  let wanted = false;
  let loading = false;

  async function load() {
    loading = true;
    try {
      const { io } = await import('socket.io-client');
      socket = io(url, options);
      for (const [name, handler] of handlers) socket.on(name, handler);
    } catch (error) {
      for (const [name, handler] of handlers)
        if (name === 'connect_error') queueMicrotask(() => handler(error));
    } finally {
      loading = false;
    }
    if (wanted) socket?.connect();
  }

  return {
    get connected() {
      return socket?.connected ?? false;
    },
    get active() {
      return socket ? socket.active : loading;
    },
    /** @param {string} name @param {(...values: any[]) => void} handler */
    on(name, handler) {
      handlers.push([name, handler]);
      socket?.on(name, handler);
    },
    connect() {
      wanted = true;
      if (socket) socket.connect();
      else if (!loading) void load();
    },
    disconnect() {
      wanted = false;
      socket?.disconnect();
    },
    /** Only reached while `connected`. @param {number} ms */
    timeout: (ms) => /** @type {import('socket.io-client').Socket} */ (socket).timeout(ms),
  };
}
