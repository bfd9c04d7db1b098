/**
 * Parts of the client that nobody needs to log in and read: fetched when they are first used. One that cannot be
 * fetched is `offline`, and is tried again with the next use.
 */

import { ChatSecError } from './errors.js';

/**
 * @template {object} T
 * @param {() => Promise<T>} load  makes the part; its functions are asynchronous
 * @returns {{use: T, forget: () => void}} `forget`: the next use makes it anew
 */
export function late(load) {
  /** @type {Promise<T>|null} */
  let part = null;

  async function loaded() {
    try {
      part ??= load();
      return await part;
    } catch (error) {
      part = null;
      throw new ChatSecError('offline', `a part of the client could not be fetched: ${error?.message}`);
    }
  }

  const use = new Proxy(/** @type {any} */ ({}), {
    get:
      (_none, name) =>
      async (/** @type {any[]} */ ...args) =>
        /** @type {any} */ (await loaded())[name](...args),
  });
  return {
    use,
    forget() {
      part = null;
    },
  };
}
