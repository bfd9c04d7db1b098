/**
 * The loaded part of each chat: one gapless run of items, fetched, examined and judged, newest page first.
 *
 * Everything that touches a chat waits its turn, so that items are judged in order of seq only. What is pushed ahead
 * of its place makes the client fetch what lies between. Refuses a page with a hole, or a server that knows less than
 * it told before: both are `server_rollback` on the chat; other bytes in a place that is held are `history_fork`.
 */

import { judgePage } from './answers.js';
import { begin, examine, project, reduce } from './timeline.js';

export const PAGE = 50;

/**
 * @typedef {import('./timeline/reduce.js').State} State
 * @typedef {Object} Session
 * @property {string} id
 * @property {import('./timeline/examine.js').Facts[]} facts  contiguous
 * @property {{first: number, before: string, epoch: import('./answers.js').Epoch|null}|null} start
 * @property {State|null} state
 * @property {Map<number, import('./answers.js').Epoch>} epochs
 * @property {Map<number, import('./timeline/examine.js').HeldKey>} keys
 * @property {Map<number, import('./crypto/share.js').Share|null>} shares
 * @property {import('./timeline/reduce.js').Position|null} position  as it was when the chat was loaded
 * @property {boolean} visible
 * @property {number} loading
 * @property {Promise<unknown>} turn
 *
 * @typedef {ReturnType<typeof createMessages>} Messages
 */

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {ReturnType<typeof import('./membership.js').createMembership>} parts.membership
 * @param {ReturnType<typeof import('./material.js').createMaterial>} parts.material
 * @param {() => string} parts.me
 * @param {(chat: string) => void} parts.onChange
 * @param {() => void} parts.onStored  a position was written
 * @param {(chat: string, last: number) => Promise<void>} parts.onRollback  the server has nothing above `last` any more
 * @param {number} [parts.pageSize]
 */
export function createMessages({
  api,
  store,
  pins,
  chats,
  membership,
  material,
  me,
  onChange,
  onStored,
  onRollback,
  pageSize = PAGE,
}) {
  /** @type {Map<string, Session>} */
  const sessions = new Map();

  /** @param {string} id @returns {Session} */
  function sessionOf(id) {
    const session = sessions.get(id) ?? emptySession(id);
    sessions.set(id, session);
    return session;
  }

  /** Runs `work` after everything before it on that chat. @template T @param {Session} session
   * @param {() => Promise<T>} work @returns {Promise<T>} */
  function inTurn(session, work) {
    const result = session.turn.then(work);
    session.turn = result.catch(() => undefined); // the caller gets the error; the next in turn goes on
    return result;
  }

  /** Judges all that is held again, from its first item. @param {Session} session */
  async function judgeAll(session) {
    const { start, position, facts } = session;
    if (!start) return;
    const trustOf = (/** @type {string} */ username) => pins.get(username)?.trust;
    const context = { trustOf, lineOf: membership.lineOf, position };
    const combined = await material.startOf(session, facts, start.epoch);
    session.state = reduce(begin({ ...start, context, combined }), facts);
  }

  /** @param {Session} session */
  async function settle(session) {
    const { state } = session;
    if (!state) return;
    await chats.warn(session.id, [...state.warnings, ...judgeStart(session, state)]);
    if (!state.warnings.has('history_fork')) await notePosition(session.id, state);
    onChange(session.id);
  }

  /** The furthest that was judged here, or elsewhere. @param {string} id @param {State} state */
  async function notePosition(id, { chain, epoch, last: seq, combined }) {
    if (!chain || !epoch) return;
    const { n: log_n = 0, hash: log_hash = '' } = combined?.head ?? {};
    const held = await store.get('chats', `${id} position`);
    const reached = { seq, chain, epoch: epoch.number };
    const position = {
      id,
      ...(held && held.seq > seq ? { seq: held.seq, chain: held.chain, epoch: held.epoch } : reached),
      ...(held && held.log_n > log_n ? { log_n: held.log_n, log_hash: held.log_hash } : { log_n, log_hash }),
    };
    if (JSON.stringify(position) === JSON.stringify(held)) return;
    await store.write([{ kind: 'chats', id: `${id} position`, value: position }]);
    onStored();
  }

  /** Whoever reads from a later item than the first was added by it; else something is withheld.
   * @param {Session} session @param {State} state */
  function judgeStart({ id }, { first, verdicts }) {
    if (first === 1 || first !== chats.get(id)?.first_seq) return [];
    const { facts } = verdicts[0];
    const added =
      facts.kind === 'event' && facts.event?.kind === 'add' && facts.event.usernames.includes(me());
    return added ? [] : ['server_rollback'];
  }

  /** @param {string} id @param {{after?: number, before?: number}} asked */
  async function fetchPage(id, asked) {
    const query = { ...asked, limit: pageSize };
    return judgePage(await api.request('GET', `/chats/${id}/messages`, { query }), asked);
  }

  /** The newest page, as a new beginning; then what it did not reach. @param {Session} session @returns {Promise<void>} */
  async function loadNewest(session) {
    session.position = (await store.get('chats', `${session.id} position`)) ?? null;
    await pins.loadChat(session.id);
    await loadLog(session);
    const page = await fetchPage(session.id, {});
    if (session.position && page.last_seq < session.position.seq) {
      session.position = null;
      await rolledBack(session, page.last_seq);
      await loadLog(session);
    }
    const items = gapless(page.items);
    if (items.length < page.items.length || items.length === 0)
      await chats.warn(session.id, ['server_rollback']);
    if (items.length === 0) return;
    await material.takeEpochs(session, page.epochs);
    const first = items[0].seq;
    session.start = { first, before: page.before, epoch: holding(page.epochs, first) };
    session.facts = await material.examineAll(session, items, page.before);
    await judgeAll(session);
    await settle(session);
    if (items.length === page.items.length && items.at(-1).seq < page.last_seq) await fetchNewer(session);
    await findHead(session);
  }

  /** The membership log, and whether it is the one that was held. @param {Session} session */
  async function loadLog(session) {
    if (!material.isCombined(session.id)) return;
    await membership.fetch(session.id);
    if (session.position) await membership.compare(session.id, session.position);
  }

  /** Where no item held names an entry, the Chat says how far the log was named. @param {Session} session */
  async function findHead(session) {
    const { state } = session;
    if (!state?.combined || state.combined.exact) return;
    await chats.load(session.id);
    await membership.fetch(session.id);
    await fetchNewer(session);
    await judgeAll(session);
    await settle(session);
    // It speaks of more entries than it shows.
    if (!session.state?.combined?.exact) await chats.warn(session.id, ['server_rollback']);
  }

  /** @param {Session} session @param {number} last */
  async function rolledBack(session, last) {
    await chats.warn(session.id, ['server_rollback']);
    await store.write([{ kind: 'chats', id: `${session.id} position`, remove: true }]);
    membership.forget(session.id);
    for (const held of [session.epochs, session.keys, session.shares]) held.clear();
    await onRollback(session.id, last);
  }

  /** Everything above what is held. @param {Session} session @returns {Promise<void>} */
  async function fetchNewer(session) {
    for (;;) {
      const { state } = session;
      if (!state) return loadNewest(session);
      const page = await fetchPage(session.id, { after: state.last });
      if (page.last_seq < state.last) {
        Object.assign(session, { facts: [], start: null, state: null });
        await rolledBack(session, page.last_seq);
        return loadNewest(session);
      }
      if (page.items.length === 0 && page.last_seq === state.last) return undefined;
      const follows = page.items[0]?.seq === state.last + 1;
      if (!follows && (await chats.load(session.id)).first_seq > state.last + 1) {
        // Removed and added again meanwhile: what lies between is not for this reader.
        Object.assign(session, { facts: [], start: null, state: null });
        return loadNewest(session);
      }
      const items = follows ? gapless(page.items) : [];
      if (items.length < page.items.length || items.length === 0) {
        await chats.warn(session.id, ['server_rollback']);
        if (items.length === 0) return undefined;
      }
      await append(session, items, page.before, page.epochs);
    }
  }

  /** @param {Session} session @param {any[]} items that follow @param {string} before
   * @param {import('./answers.js').Epoch[]} epochs */
  async function append(session, items, before, epochs) {
    await material.takeEpochs(session, epochs);
    const facts = await material.examineAll(session, items, before);
    session.facts.push(...facts);
    // Where the log's head was not known so far, these items may say what it was before.
    if (session.state?.combined?.exact === false) await judgeAll(session);
    else session.state = reduce(/** @type {State} */ (session.state), facts);
    await settle(session);
  }

  /** The page before the first item held. @param {Session} session */
  async function prepend(session) {
    const { start } = session;
    if (!start || start.first <= (chats.get(session.id)?.first_seq ?? 1)) return;
    const page = await fetchPage(session.id, { before: start.first });
    const items = page.items.at(-1)?.seq === start.first - 1 ? gapless(page.items) : [];
    if (items.length === 0 || items.length < page.items.length) {
      await chats.warn(session.id, ['server_rollback']);
      return;
    }
    await material.takeEpochs(session, page.epochs);
    const facts = await material.examineAll(session, items, page.before);
    session.facts = [...facts, ...session.facts];
    session.start = { first: items[0].seq, before: page.before, epoch: holding(page.epochs, items[0].seq) };
    await judgeAll(session);
    await settle(session);
  }

  /** An item held already is told again. @param {Session} session @param {any} item */
  async function compare(session, item) {
    const { state, facts } = session;
    if (!state || item.seq < state.first) return;
    const held = facts[item.seq - state.first];
    const again = await examine(item, item.before, material.of(session));
    const chain = state.chains.get(item.seq - 1);
    if (again.hash !== held.hash || (chain && item.before !== chain))
      await chats.warn(session.id, ['history_fork']);
  }

  /** @template T @param {Session} session @param {() => Promise<T>} work @returns {Promise<T>} */
  async function whileLoading(session, work) {
    session.loading += 1;
    onChange(session.id);
    try {
      return await work();
    } finally {
      session.loading -= 1;
      onChange(session.id);
    }
  }

  return {
    /** The loaded state of a chat, if it is loaded. @param {string} id */
    stateOf: (id) => sessions.get(id)?.state ?? null,
    /** @param {string} id @param {number} epoch */
    keyOf: (id, epoch) => sessions.get(id)?.keys.get(epoch) ?? null,
    isVisible: (/** @type {string} */ id) => sessions.get(id)?.visible ?? false,
    visible: () => [...sessions.values()].filter(({ visible }) => visible).map(({ id }) => id),
    loaded: () => [...sessions.values()].filter(({ state }) => state).map(({ id }) => id),

    /** Loads the newest page if nothing is loaded, else what is newer. @param {string} id @returns {Promise<void>} */
    async catchUp(id) {
      const session = sessionOf(id);
      return whileLoading(session, () => inTurn(session, () => fetchNewer(session)));
    },
    /** @param {string} id */
    async loadOlder(id) {
      const session = sessionOf(id);
      return whileLoading(session, () => inTurn(session, () => prepend(session)));
    },
    /** Back to the item that opened the epoch, where more may have happened than is known (`partial`). @param {string} id */
    async reachOpening(id) {
      const session = sessionOf(id);
      const missing = () =>
        session.state?.combined?.partial && session.state.first > (session.state.epoch?.opened ?? 0);
      await inTurn(session, async () => {
        for (let first = 0; missing() && first !== session.state?.first;) {
          first = session.state?.first ?? 0;
          await prepend(session);
        }
      });
    },
    /** @param {string} id @param {boolean} visible */
    show(id, visible) {
      sessionOf(id).visible = visible;
      onChange(id);
    },
    /**
     * A pushed item, or an own one with its ack.
     * @param {string} id @param {any} item with `before` @param {import('./answers.js').Epoch} [epoch] that it opened
     */
    async push(id, item, epoch) {
      const session = sessionOf(id);
      await inTurn(session, async () => {
        const { state } = session; // asked in turn: what comes before may be about to load it
        if (!state) return;
        if (item.seq <= state.last) await compare(session, item);
        else if (item.seq === state.last + 1)
          await append(session, [item], item.before, epoch ? [epoch] : []);
        else await fetchNewer(session);
      });
    },
    /** Somebody's keys or pin changed: what they signed is judged again. @param {string} username */
    async rejudge(username) {
      for (const session of sessions.values()) {
        await inTurn(session, async () => {
          const concerned = (/** @type {any} */ { header, event }) =>
            header?.from === username || event?.by === username;
          if (!session.state || !session.facts.some(concerned)) return;
          const again = session.facts.map((fact) =>
            concerned(fact) ? examine(fact.item, fact.before, material.of(session)) : fact,
          );
          session.facts = await Promise.all(again);
          await judgeAll(session);
          await settle(session);
        });
      }
    },
    /** What a person sees of it. @param {string} id */
    view(id) {
      const session = sessionOf(id);
      const chat = chats.get(id);
      const first = session.start?.first ?? 0;
      const atStart = session.state !== null && first <= (chat?.first_seq ?? 1);
      const receipts = chat ?? { delivered: {}, read: {}, members: [] };
      const verdicts = session.state?.verdicts ?? [];
      return {
        items: project({ verdicts, me: me(), receipts, complete: atStart }),
        atStart,
        loading: session.loading > 0,
      };
    },
    clear: () => sessions.clear(),
  };
}

/** @param {string} id @returns {Session} */
const emptySession = (id) => ({
  id,
  facts: [],
  start: null,
  state: null,
  epochs: new Map(),
  keys: new Map(),
  shares: new Map(),
  position: null,
  visible: false,
  loading: 0,
  turn: Promise.resolve(),
});

/** Up to the first hole. @param {any[]} items */
function gapless(items) {
  const end = items.findIndex(({ seq }, i) => i > 0 && seq !== items[i - 1].seq + 1);
  return end < 0 ? items : items.slice(0, end);
}

/** The epoch that holds at `seq`. @param {import('./answers.js').Epoch[]} epochs @param {number} seq */
function holding(epochs, seq) {
  const open = epochs.filter(({ opened_seq: opened }) => opened <= seq);
  return open.sort((a, b) => b.number - a.number)[0] ?? null;
}
