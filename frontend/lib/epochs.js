/**
 * The epoch keys of `combined` chats: out of S_e and C, bound to the share (protocol §4).
 *
 * What does not open is named on the chat. Wrap bytes unlike their signed hash are fetched once more, then `bad_share`; a
 * bundle that was never mine, after my own history and backup were fetched, or a wrap that does not open to the commit is
 * `wrong_recipient_key`. A wrap for a key of mine that is held no more is `key_lost`, and so is an epoch that I am
 * excluded from.
 */

import { judgeEpoch, judgeItems } from './answers.js';
import {
  isSigned,
  linkOf,
  openBackup,
  openCombinedEpoch,
  reaches,
  readShare,
  versionIn,
} from './crypto/index.js';
import { ChatSecError } from './errors.js';

/**
 * @typedef {import('./answers.js').Epoch} Epoch
 * @typedef {import('./crypto/share.js').Share} Share
 * @typedef {import('./timeline/examine.js').HeldKey} HeldKey
 * @typedef {{share: Share|null, key: HeldKey}} Opened
 */

const UNOPENED = ['undecryptable', 'malformed', 'keys_unavailable'];
const ON_CHAT = ['bad_share', 'wrong_recipient_key'];

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {() => string} parts.me
 */
export function createEpochs({ api, pins, keyring, chats, me }) {
  /** @type {Set<string>} kids of mine that the backup was asked for */
  const missing = new Set();

  /** The share as the Epoch gives it; null where it has no such form. @param {string} chat @param {Epoch} epoch */
  async function shareOf(chat, epoch) {
    try {
      return await readShare(epoch.client_share, chat);
    } catch (error) {
      if (error instanceof ChatSecError) return null;
      throw error;
    }
  }

  /** Whether its author signed it, under a bundle that may be newer than those known here. @param {Share} share */
  async function isAuthentic(share) {
    const line = () => pins.get(share.by)?.line;
    const held = line();
    if (!held || versionIn(held, share.keys) === 0) await loadPerson(share.by);
    return isSigned(share, line());
  }

  /** @param {string} username */
  async function loadPerson(username) {
    try {
      await pins.load(username);
    } catch (error) {
      if (!(error instanceof ChatSecError) || error.code !== 'not_found') throw error; // nobody's keys: nobody's share
    }
  }

  /** My wrapping key of the bundle that a share names for me: null where it is lost, undefined where it was never mine.
   * @param {string} kh */
  async function ownKey(kh) {
    const known = () => {
      const line = pins.get(me())?.line;
      const link = line && linkOf(line, kh);
      const { version = 0, hash = '' } = keyring.own() ?? {};
      // Above the version that is held here, only what my own keys vouch for was made by me, on another device.
      return line && link && (link.version <= version || reaches(line, hash, kh)) ? link : undefined;
    };
    if (!known()) await pins.load(me());
    const link = known();
    if (!link) return undefined;
    const { kid } = link.bundle.encryption;
    if (!keyring.privateKey(kid)) await lookInBackup(kid);
    return keyring.privateKey(kid);
  }

  /** A key of mine that is not held here may be in the backup by now. @param {string} kid */
  async function lookInBackup(kid) {
    if (missing.has(kid)) return;
    missing.add(kid);
    try {
      const { key_backup: backup } = await api.request('GET', '/me/key-backup');
      const secrets = await openBackup({ username: me(), backup, backupKey: keyring.backupKey() });
      await keyring.expect([...secrets.retired, ...secrets.keys]);
    } catch (error) {
      // Under another B, or none at all: then the key is lost to this installation until the next log-in.
      if (!(error instanceof ChatSecError) || !UNOPENED.includes(error.code)) throw error;
    }
  }

  /** @param {Epoch} epoch @param {Share} share @returns {Promise<HeldKey>} */
  async function openOnce({ kid, wrapped, client_share: given }, share) {
    const recipient = share.recipients.get(me());
    if (!recipient) return { failure: 'key_lost' };
    try {
      const clientKey = await ownKey(recipient.keys);
      const serverKey = typeof kid === 'string' ? keyring.privateKey(kid) : null;
      if (clientKey && (!serverKey || typeof wrapped !== 'string')) return { failure: 'key_lost' };
      const clientWrapped = given?.wrapped ?? null;
      const parts = { share, username: me(), serverKey, wrapped: wrapped ?? '', clientKey, clientWrapped };
      return { key: await openCombinedEpoch(parts) };
    } catch (error) {
      if (!(error instanceof ChatSecError)) throw error;
      const { code } = error;
      if (ON_CHAT.includes(code) || code === 'key_lost') return { failure: /** @type {any} */ (code) };
      if (['undecryptable', 'malformed'].includes(code)) return { failure: 'undecryptable' };
      throw error; // the own keys could not be fetched: it is tried again
    }
  }

  /** @param {string} chat @param {number} number @returns {Promise<Epoch|null>} as the server tells it now */
  async function fetchAgain(chat, number) {
    let cursor;
    do {
      const answer = await api.request('GET', `/chats/${chat}/epochs`, { query: { cursor } });
      const found = judgeItems(answer, (item) => judgeEpoch(item)).find((epoch) => epoch.number === number);
      if (found) return found;
      cursor = answer.next ?? undefined;
    } while (cursor !== undefined);
    return null;
  }

  return {
    /**
     * @param {string} chat @param {Epoch} epoch @returns {Promise<Opened>} the share is read, not judged; that it is
     *   signed was looked at, so that nothing is blamed on a person who did not make it
     */
    async open(chat, epoch) {
      const share = await shareOf(chat, epoch);
      if (!share || !(await isAuthentic(share))) return { share, key: { failure: 'bad_share' } };
      let key = await openOnce(epoch, share);
      if ('failure' in key && key.failure === 'bad_share') {
        const again = await fetchAgain(chat, epoch.number);
        if (again) key = await openOnce(again, share);
      }
      if ('failure' in key && ON_CHAT.includes(key.failure)) await chats.warn(chat, [key.failure]);
      return { share, key };
    },
    clear: () => missing.clear(),
  };
}
