/**
 * When a new share is due in a `combined` chat, and who posts it (protocol §4): this client by itself only for a cause
 * that it sees, at most twice per cause: at once where it has something to send, refused the share that stands, or renewed
 * its own keys, else when its turn comes among those who can. Then it stops, and what waits to be sent says `share_due`.
 *
 * Refuses to let anything be sealed while names or keys of the log's head differ from what the share serves, while a
 * newer continuous bundle of a recipient is known, or for the reset keys of a verified person before the user's yes.
 */

import { servesHead, standing } from './crypto/index.js';
import { ChatSecError } from './errors.js';

export const EPOCH_MESSAGES = 100_000; // under one epoch
const TRIES = 2;
/** Why this client could not post, which the chat or what waits to be sent says. */
const SAID = ['share_due', 'identity_reset', 'keys_unavailable', 'forbidden', 'mode_changed'];
const CONFLICTS = ['epoch_conflict', 'membership_conflict'];
const STEP_MS = 2_000; // for whoever stands before me to do it
const LONGEST_MS = 60_000;

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./changes.js').createChanges>} parts.changes
 * @param {(ms: number) => Promise<void>} parts.wait
 * @param {() => string} parts.me
 * @param {number} [parts.epochMessages] after which an epoch is full
 */
export function createShares({ pins, chats, messages, changes, wait, me, epochMessages = EPOCH_MESSAGES }) {
  /** @type {Map<string, number>} "chat cause" → shares posted for it */
  const posted = new Map();
  /** @type {Map<string, boolean>} chats whose share is about to be posted → whether more happened meanwhile */
  const looking = new Map();
  const lineOf = (/** @type {string} */ username) => pins.get(username)?.line;

  /** Did this client refuse the share of the current epoch, or its own wrap? @param {string} id
   * @param {import('./timeline/reduce.js').State} state */
  function isRefused(id, { combined, epoch }) {
    if (!epoch || !combined) return false;
    const key = messages.keyOf(id, epoch.number);
    const wrong = key && 'failure' in key && ['bad_share', 'wrong_recipient_key'].includes(key.failure);
    return combined.share === null || Boolean(wrong);
  }

  /** Why a new share is due, as far as this client sees; null: it sees no cause. The text names one cause for good.
   * @param {string} id @returns {string|null} */
  function causeOf(id) {
    const state = messages.stateOf(id);
    if (!state?.combined?.head || !state.combined.exact || !state.epoch) return null;
    const { head, gone, share, served } = state.combined;
    const { number, opened } = state.epoch;
    // A try that an entry of somebody else's overtook was not in vain: no server moves the head by itself.
    const cause = (/** @type {(string|number)[]} */ ...words) => [...words, head.hash].join(' ');
    if (gone.size > 0) return cause('gone', [...gone].sort().join());
    if (isRefused(id, state)) return cause('refused', number);
    if (!share || !served) return null;
    const moved = servesHead({ share, entry: served, head, lineOf });
    if (moved === 'bundle') return cause('bundle', [...share.recipients.keys()].map(versionOf).join());
    if (moved) return cause(moved);
    const full = state.last - opened >= epochMessages && chats.get(id)?.share_due;
    return full ? cause('count', number) : null;
  }

  /** The same, where the server says that a share is due, and why may stand further back than what is held.
   * @param {string} id */
  async function findCause(id) {
    const partial = messages.stateOf(id)?.combined?.partial;
    if (!causeOf(id) && partial && chats.get(id)?.share_due) await messages.reachOpening(id);
    return causeOf(id);
  }

  const versionOf = (/** @type {string} */ username) => pins.get(username)?.current?.version ?? 0;

  /** May another share be posted for this cause? Then it is counted. @param {string} id @param {string} cause */
  function mayPost(id, cause) {
    const name = `${id} ${cause}`;
    const times = posted.get(name) ?? 0;
    if (times < TRIES) posted.set(name, times + 1);
    return times < TRIES;
  }

  /** Posts for the cause that is seen, if there is one. Throws `share_due` where it was tried often enough.
   * @param {string} id */
  async function post(id) {
    const wanted = () => {
      const cause = causeOf(id);
      if (cause && !mayPost(id, cause))
        throw new ChatSecError('share_due', 'a new share was posted, and did not help');
      return cause !== null;
    };
    try {
      await changes.renew(id, wanted, () => mayPost(id, causeOf(id) ?? ''));
    } catch (error) {
      if (!(error instanceof ChatSecError) || !CONFLICTS.includes(error.code)) throw error;
      throw new ChatSecError('share_due', `the new share was refused: ${error.code}`);
    }
  }

  /** Which of those who can sign I am; -1 where I cannot. @param {string} id */
  function rankOf(id) {
    const { head, gone } = messages.stateOf(id)?.combined ?? {};
    return head && gone ? standing({ entry: head, gone, lineOf, me: me() }).able.indexOf(me()) : -1;
  }

  /** A verified person to whom nothing is sent before the user's yes, since it would be under their reset keys.
   * @param {string} id @returns {string|null} */
  function heldOf(id) {
    const chat = chats.get(id);
    if (chat?.key_mode !== 'combined')
      return chat?.members.map(({ username }) => username).find((username) => pins.held(username)) ?? null;
    // The chat goes on as long as neither its share nor the next one is for other keys than were verified.
    const { share, head } = messages.stateOf(id)?.combined ?? {};
    const trusted = (/** @type {string} */ username, /** @type {string} */ keys) =>
      pins.get(username)?.trust.get(keys) === 'linked';
    const named = [...(share?.recipients ?? []), ...(head?.members ?? [])];
    return named.find(([username, { keys }]) => pins.held(username) && !trusted(username, keys))?.[0] ?? null;
  }

  const blocked = (/** @type {string} */ detail) =>
    new ChatSecError('waiting_for_key', detail, { blocked: true });

  /** Posts what stands in the way of a message. Throws `waiting_for_key` with `blocked` where others have to.
   * @param {string} id */
  async function postFor(id) {
    if (!(await findCause(id))) return;
    if (rankOf(id) < 0) throw blocked('only others can post the share that is due');
    try {
      await post(id);
    } catch (error) {
      if (!(error instanceof ChatSecError) || error.code !== 'identity_reset') throw error;
      throw blocked(error.detail);
    }
  }

  /** Posts when my turn comes, if the cause still stands then. @param {string} id @param {number} rank */
  async function lookOnce(id, rank) {
    try {
      if (!(await findCause(id))) return;
      // What I refused, nobody else may see.
      if (!causeOf(id)?.startsWith('refused')) await wait(Math.min(rank * STEP_MS, LONGEST_MS));
      if (causeOf(id)) await post(id);
    } catch (error) {
      if (!(error instanceof ChatSecError) || !SAID.includes(error.code)) throw error;
    }
  }

  return {
    causeOf,
    heldOf,
    post,

    /**
     * Makes sure that a message may be sealed now. Throws `waiting_for_key` with `blocked` where it waits for a person,
     * `share_due` where a new share did not help, and whatever kept one from being posted.
     * @param {string} id
     */
    async ready(id) {
      const held = heldOf(id);
      if (held) throw blocked(`${held} was verified and has new keys`);
      const { combined } = messages.stateOf(id) ?? {};
      if (!combined) return;
      if (!combined.exact)
        throw new ChatSecError('unavailable', 'where the membership log stands is not known');
      if (combined.head?.members.has(me()) && rankOf(id) < 0)
        throw blocked('the own new keys are not confirmed yet');
      await postFor(id);
    },

    /** The server says that a share is due: what this client may not have been told is fetched, and then posted.
     * @param {string} id */
    async answer(id) {
      await messages.catchUp(id);
      await chats.load(id);
      await pins.loadChat(id);
      await postFor(id);
      await messages.catchUp(id); // what somebody else posted in this moment
    },

    /** After what is new in a chat: whoever sees a cause posts, one after the other, so that not all do at once.
     * @param {string} id @param {{atOnce?: boolean}} [how] */
    async look(id, { atOnce = false } = {}) {
      const rank = atOnce ? 0 : rankOf(id);
      if (looking.has(id)) looking.set(id, true);
      if (rank < 0 || looking.has(id)) return;
      looking.set(id, false);
      let more;
      try {
        await lookOnce(id, rank);
      } finally {
        more = looking.get(id);
        looking.delete(id);
      }
      if (more) await this.look(id);
    },

    /** The user's tap is no cause that is counted. @param {string} id */
    replace(id) {
      for (const name of [...posted.keys()]) if (name.startsWith(`${id} `)) posted.delete(name);
      const epoch = () => messages.stateOf(id)?.epoch?.number;
      const before = epoch();
      // What was under way may have opened one by now.
      return changes.renew(
        id,
        () => before === undefined || epoch() === before,
        () => true,
      );
    },
    clear() {
      posted.clear();
      looking.clear();
    },
  };
}
