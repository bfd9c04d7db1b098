/**
 * Comparing safety numbers (protocol §2): the number of two people's current bundles, and the mark on whom the user
 * found to be the same.
 *
 * Refuses while the server shows other own keys than are held here (`identity_reset`), keys that must not be used
 * (`weak_key`), older ones than are known (`server_rollback`), and a yes to a number that is no longer that of the
 * keys (`keys_conflict`). A yes counts once the client state is stored.
 */

import { qrText } from './crypto/index.js';
import { ChatSecError } from './errors.js';

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./state.js').createState>} parts.state
 * @param {import('./runner.js').Runner} parts.runner
 * @param {() => string} parts.me
 */
export function createVerification({ pins, keyring, state, runner, me }) {
  /** @type {Map<string, string>} username → hash of their bundle whose number was shown last */
  const shown = new Map();

  /** Their current bundle, if a number may be made of it. @param {string} username */
  async function currentOf(username) {
    const { current, warnings } = pins.get(username) ?? (await pins.load(username));
    if (!current) throw new ChatSecError('weak_key', 'the current keys of this person must not be used');
    if (warnings.includes('server_rollback'))
      throw new ChatSecError('server_rollback', 'the server shows older keys than are known');
    return current;
  }

  return {
    /** @type {import('./types.js').Client['safetyNumber']} */
    async safetyNumber(username) {
      const own = await currentOf(me());
      if (own.hash !== keyring.own()?.hash)
        throw new ChatSecError('identity_reset', 'the server shows other keys of yours');
      const theirs = await currentOf(username);
      const side = (/** @type {any} */ { username: name, statement }) => ({ username: name, statement });
      const digits = await runner.run('safetyNumber', { one: side(own), other: side(theirs) });
      shown.set(username, theirs.hash);
      return { digits, qr: qrText(digits) };
    },

    /** @type {import('./types.js').Client['setVerified']} */
    async setVerified(username, verified) {
      if (!verified) {
        await pins.doubt(username);
        await state.flush();
        return;
      }
      const { hash } = await currentOf(username);
      if ((shown.get(username) ?? hash) !== hash)
        throw new ChatSecError('keys_conflict', 'they have other keys by now: compare again');
      const before = await pins.accept(username, true);
      try {
        await state.flush();
      } catch (error) {
        if (before) await pins.change([username], () => before); // what is not stored was not said
        throw error;
      }
    },

    clear: () => shown.clear(),
  };
}
