/**
 * The client state: the memory of people and chats that outlives the browser (protocol §3). Gathered from the store,
 * stored at the server soon after it changed, and laid into the store of a browser that knows less.
 *
 * A state that is missing, does not open, or is older than the key backup or this installation knows is
 * `server_rollback` on the account, and nobody shows as verified until a log-in finds it whole. What two devices
 * were shown differently is a warning on the chat (merge.js).
 */

import { withLock } from './api.js';
import { fit, isCount, openState, sealState, stateNumber, unjudged } from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { KEYS_LOCK, RENEWED } from './keyring.js';
import { laidPin, mergeMemories, sameMemory } from './merge.js';

/**
 * @typedef {import('./crypto/state.js').Contents} Contents
 * @typedef {{n: number, lost: boolean} & Contents} Kept  in the store: what the server was last known to hold
 */

const TRIES = 20; // as many devices may store at the same time
const MOVES = 5; // each takes the password anew, of which the server takes so many (protocol §8)
const SOON_MS = 30_000; // a position that moves with every message is stored so often at most

/** @returns {Contents} */
const nothing = () => ({ pins: new Map(), chats: new Map() });

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {(chat: string, names: string[]) => Promise<void>} parts.warnChat
 * @param {(name: string, detail: string) => void} parts.warnAccount
 * @param {(ms: number, then: () => void) => () => void} parts.after  a timer, and how to stop it
 * @param {(work: Promise<unknown>) => void} parts.background
 * @param {() => void} parts.onChange  of `lost`
 * @param {LockManager|undefined} parts.locks
 * @param {number} [parts.delay] milliseconds
 */
export function createState({
  api,
  store,
  keyring,
  pins,
  warnChat,
  warnAccount,
  after,
  background,
  onChange,
  locks,
  delay = SOON_MS,
}) {
  /** @type {Kept} */
  let kept = { n: 0, lost: false, ...nothing() };
  let user = '';
  let closed = false;
  let warned = false;
  let known = false; // whether `kept` was compared with the server in this session
  let dirty = false;
  /** @type {(() => void)|null} */
  let stop = null;
  /** @type {Promise<unknown>} */
  let turn = Promise.resolve();

  /** One thing at a time. @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  function inTurn(work) {
    const result = turn.then(work);
    turn = result.catch(() => undefined); // the caller gets the error; the next in turn goes on
    return result;
  }

  /** @param {Partial<Kept>} change */
  async function keep(change) {
    kept = { ...kept, ...change };
    await store.write([{ kind: 'meta', id: 'state', value: kept }]);
  }

  /** @param {string} why */
  async function lose(why) {
    if (!warned) warnAccount('server_rollback', why);
    warned = true;
    if (kept.lost) return;
    await keep({ lost: true });
    onChange();
  }

  /** What this installation remembers, as the state has it. @returns {Promise<import('./merge.js').Local>} */
  async function gather() {
    const people = await store.list('pins');
    /** @type {Map<string, import('./crypto/state.js').StateChat>} */
    const chats = new Map();
    const records = await store.list('chats');
    for (const { id, mode } of records) if (mode) chats.set(id, unjudged(mode));
    for (const { id, seq, chain, epoch, log_n = 0, log_hash = '' } of records) {
      const chat = chats.get(id);
      if (chat && seq !== undefined) chats.set(id, { ...chat, log_n, log_hash, epoch, seq, chain });
    }
    const others = people.filter(({ username }) => username !== user);
    return { pins: new Map(others.map((pin) => [pin.username, pin])), chats };
  }

  /**
   * This installation's memory and the one that is told, made one, and laid into the store where that knew less.
   * @param {Contents} told @returns {Promise<Contents>}
   */
  async function mergeWith(told) {
    const before = await gather();
    // Whoever is known elsewhere under a later bundle is looked up, so that the pin here moves as far as it is tied.
    for (const [username, { version }] of told.pins) {
      if ((before.pins.get(username)?.version ?? version) < version) await pins.load(username);
    }
    await pins.change([...told.pins.keys()], (username, pin) =>
      laidPin(username, pin, /** @type {any} */ (told.pins.get(username)), kept.pins.get(username)),
    );
    const local = await gather();
    const { contents, clashes } = mergeMemories(local, told, kept);
    const further = [...contents.chats].filter(([id, chat]) => isFurther(chat, local.chats.get(id)));
    await store.write(further.flatMap(([id, chat]) => recordsOf(id, chat, !local.chats.has(id))));
    for (const { chat, name } of clashes) await warnChat(chat, [name]);
    return contents;
  }

  /** Takes what the server holds. @param {unknown} stored the state, or null @param {number} least n that it must have
   * @returns {Promise<boolean>} whether this installation knows more */
  async function take(stored, least) {
    const n = numberOf(stored);
    const told = n > 0 ? await open(stored) : null;
    if (n < Math.max(least, kept.n))
      await lose('the server shows an older memory of people and chats than it had');
    else if (n > 0 && !told) await lose('the memory of people and chats that the server shows does not open');
    const contents = await mergeWith(told ?? nothing());
    known = true;
    await keep({ n, ...(told ?? nothing()) });
    return !sameMemory(fit(contents), kept) || n === 0;
  }

  /** @param {unknown} stored @returns {Promise<Contents|null>} null: it does not open */
  async function open(stored) {
    try {
      const contents = await openState({ username: user, state: stored, key: await keyring.stateKey() });
      contents.pins.delete(user); // one's own bundle is known from the backup
      return contents;
    } catch (error) {
      if (!(error instanceof ChatSecError) || error.code === 'keys_unavailable') throw error;
      const own = pins.get(user);
      // Renewed elsewhere, B too: the state is not lost, it is the keys here that are old.
      if (own && !keyring.isOwn(own)) throw new ChatSecError('keys_unavailable', RENEWED);
      return null;
    }
  }

  async function fetchStored() {
    const answer = await api.request('GET', '/me/state');
    return answer.state ?? null;
  }

  /** Stores what changed; what another device stored meanwhile is taken first. */
  async function save() {
    dirty = false;
    try {
      if (!known) await take(await fetchStored(), 0);
      for (let tries = 1; ; tries++) {
        const n = await put();
        if (n === null) return;
        if (tries === TRIES)
          throw new ChatSecError('state_conflict', 'other devices store all the time', { n });
        await take(await fetchStored(), 0);
        // A server that has one, and shows none that is of use: what is known here takes its place.
        if (kept.lost) await keep({ n });
      }
    } catch (error) {
      dirty = true;
      throw error;
    }
  }

  /** One try. @returns {Promise<number|null>} null: stored, or nothing to store; n that another device stored meanwhile */
  async function put() {
    const contents = fit(mergeMemories(await gather(), kept, kept).contents);
    if (kept.n > 0 && sameMemory(contents, kept)) return null;
    const n = kept.n + 1;
    const state = await sealState({ username: user, n, contents, key: await keyring.stateKey() });
    try {
      await api.request('PUT', '/me/state', { body: { state } });
    } catch (error) {
      if (!(error instanceof ChatSecError) || error.code !== 'state_conflict') throw error;
      return isCount(error.extra.n) ? error.extra.n : 0;
    }
    await keep({ n, ...contents });
    return null;
  }

  /** Stores what is due; not while another tab exchanges B, under which it would not open. */
  const saveDue = () =>
    withLock(locks, KEYS_LOCK, () =>
      inTurn(async () => {
        if (dirty) await save();
      }),
    );

  function schedule() {
    if (user === '' || closed) return; // nobody's: what still comes in after the end is not stored
    stop ??= after(delay, () => {
      stop = null;
      background(saveDue());
    });
  }

  function unschedule() {
    stop?.();
    stop = null;
  }

  return {
    /** Whether the server lost or withheld it: then nobody shows as verified. */
    lost: () => kept.lost,
    number: () => kept.n,

    /** After a log-in: what its answer brought, of which the key backup says that n is `least` at least.
     * @param {string} username @param {unknown} stored @param {number} least */
    async begin(username, stored, least) {
      await inTurn(async () => {
        [user, closed] = [username, false];
        // A log-in that finds everything whole ends what an earlier session found lost.
        kept = { n: 0, ...nothing(), ...(await store.get('meta', 'state')), lost: false };
        if (await take(stored ?? null, least)) dirty = true;
      });
      if (dirty) schedule();
    },
    /** What this installation kept of it, without asking the server yet. @param {string} username */
    async restore(username) {
      [user, closed] = [username, false];
      const held = await store.get('meta', 'state');
      if (held) kept = held;
      if (kept.lost) await lose('the server had lost the memory of people and chats');
    },
    /** Compares with the server, in a session that was resumed, and stores what waits: after each new connection. */
    async connected() {
      await inTurn(async () => {
        if (!known && (await take(await fetchStored(), 0))) dirty = true;
      });
      if (dirty) schedule();
    },

    /** Something that belongs to it was written to the store. */
    touch() {
      dirty = true;
      schedule();
    },
    /** Stores it now, if anything changed. */
    async flush() {
      unschedule();
      await saveDue();
    },
    /** The user left or erased the chat, or was warned of its rollback: it is no longer remembered as it was.
     * @param {string} chat */
    async forget(chat) {
      await inTurn(async () => {
        const chats = new Map(kept.chats);
        if (chats.delete(chat)) await keep({ chats });
      });
      this.touch();
    },

    /**
     * The state under the key of another B, to be stored in one request with what makes that B the account's;
     * nothing else is stored until `work` is done. What another device stores at that moment is taken, and `work` is done
     * again. @template T
     * @param {(seal: (key: CryptoKey) => Promise<import('./crypto/state.js').Sealed>) => Promise<T>} work
     * @returns {Promise<T>} after it, the state is taken as stored
     */
    async moving(work) {
      return inTurn(async () => {
        for (let tries = 1; ; tries++) {
          // Everything of other devices first: they cannot store any more once the new B is there.
          await take(await fetchStored(), 0);
          const contents = fit(mergeMemories(await gather(), kept, kept).contents);
          const n = kept.n + 1;
          try {
            const done = await work((key) => sealState({ username: user, n, contents, key }));
            await keep({ n, ...contents });
            return done;
          } catch (error) {
            const moved = error instanceof ChatSecError && error.code === 'state_conflict';
            if (!moved || tries === MOVES) throw error;
          }
        }
      });
    },

    /** Nothing of the session stays in memory. */
    clear() {
      unschedule();
      kept = { n: 0, lost: false, ...nothing() };
      [user, known, dirty, warned] = ['', false, false, false];
      turn = Promise.resolve();
    },
    /** No timer holds a process that is done; what is being stored already ends as it began. */
    close() {
      unschedule();
      closed = true;
    },
  };
}

/** n of what the server shows; what is no state is as if none were there. @param {unknown} stored */
function numberOf(stored) {
  try {
    return stored === null ? 0 : stateNumber(stored);
  } catch (error) {
    if (error instanceof ChatSecError) return 0;
    throw error;
  }
}

/** @param {import('./crypto/state.js').StateChat} chat @param {import('./crypto/state.js').StateChat|undefined} local */
const isFurther = (chat, local) => !local || chat.seq > local.seq || chat.log_n > local.log_n;

/** A chat as the store has it: what is remembered of it if it is new here, and where it was judged to.
 * @param {string} id @param {import('./crypto/state.js').StateChat} chat @param {boolean} isNew
 * @returns {import('./store/port.js').Op[]} */
function recordsOf(id, { mode, ...position }, isNew) {
  const remembered = { id, mode, consent: false, warnings: [] };
  const judged = position.seq > 0 || position.log_n > 0;
  return [
    ...(isNew ? [{ kind: /** @type {const} */ ('chats'), id, value: remembered }] : []),
    ...(judged
      ? [{ kind: /** @type {const} */ ('chats'), id: `${id} position`, value: { id, ...position } }]
      : []),
  ];
}
