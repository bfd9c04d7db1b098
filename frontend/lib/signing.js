/**
 * Entries and shares as this client signs them: under the own current bundle, for members under theirs (protocol §4).
 *
 * Refuses to wrap anything for the reset keys of a verified person before the user's yes, and to sign while the server
 * shows foreign keys of the own account (both `identity_reset`); while the keys held here are not the current ones
 * (`keys_unavailable`); and a share whose author would be no recipient of it (`forbidden`).
 */

import { recipientsFor } from './crypto/index.js';
import { ChatSecError } from './errors.js';

/** @typedef {import('./crypto/membership.js').Entry} Entry */

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {import('./runner.js').Runner} parts.runner
 * @param {() => number} parts.now
 * @param {() => string} parts.me
 */
export function createSigning({ pins, keyring, runner, now, me }) {
  const lineOf = (/** @type {string} */ username) => pins.get(username)?.line;

  /** Who signs, with what; under the own current bundle only. */
  function author() {
    const own = pins.get(me());
    if (!own || !keyring.isOwn(own)) {
      const reset = own?.warnings.includes('identity_reset');
      throw new ChatSecError(reset ? 'identity_reset' : 'keys_unavailable', 'not the keys held here');
    }
    const keys = /** @type {string} */ (keyring.own()?.hash);
    return { author: { by: me(), keys }, signer: keyring.signer(keyring.preferred(true)) };
  }

  const time = () => new Date(now()).toISOString();

  /** @param {string[]} usernames */
  function needsYes(usernames) {
    const held = usernames.find((username) => pins.held(username));
    if (held) throw new ChatSecError('identity_reset', `${held} was verified and has new keys`);
  }

  /** @param {string} chat @param {import('./crypto/changes.js').Next} next @returns {Promise<{object: any, entry: Entry}>} */
  const signEntry = (chat, next) => runner.run('makeEntry', { chat, at: time(), next, ...author() });

  /** A share with a fresh C for an entry's members under their current bundles.
   * @param {string} chat @param {number} epoch that it opens @param {Entry} entry that it serves */
  async function signShare(chat, epoch, entry) {
    const { recipients, excluded } = recipientsFor(entry, lineOf);
    needsYes(recipients.map(({ username }) => username));
    if (!recipients.some(({ username }) => username === me()))
      throw new ChatSecError('forbidden', 'your own new keys are not confirmed yet');
    const parts = { chat, epoch, membership: entry.hash, recipients, excluded, at: time(), ...author() };
    const { object } = await runner.run('makeShare', parts);
    return object;
  }

  return { author, needsYes, signEntry, signShare };
}
