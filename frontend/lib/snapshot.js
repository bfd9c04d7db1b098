/**
 * What the page draws, as one immutable value (types.js). Parts that did not change keep their reference, so that a
 * view of one chat is not drawn again for the sake of another. Refuses nothing; it only reads.
 */

import { standing } from './crypto/index.js';
import { overlay } from './overlay.js';

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./outbox.js').createOutbox>} parts.outbox
 * @param {ReturnType<typeof import('./shares.js').createShares>} parts.shares
 * @param {ReturnType<typeof import('./presence.js').createPresence>} parts.presence
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {() => number} parts.keysRevision  another one whenever somebody's keys were judged anew
 * @param {() => Pick<import('./types.js').Snapshot, 'phase'|'user'|'connection'|'accountWarnings'|'account'>} parts.session
 */
export function createSnapshots({ chats, messages, outbox, shares, presence, pins, keysRevision, session }) {
  /** @type {Set<() => void>} */
  const listeners = new Set();
  /** @type {Map<string, import('./types.js').OpenView>} */
  const views = new Map();
  /** @type {import('./types.js').Snapshot|null} */
  let current = null;
  let told = true;

  /** @param {string} id @returns {import('./types.js').OpenView} */
  function openView(id) {
    const held = views.get(id);
    if (held) return held;
    const { items, atStart, loading } = messages.view(id);
    const waiting = outbox.view(id);
    const all = overlay([...items, ...waiting.items], waiting.changes, session().user?.username ?? '');
    const view = Object.freeze({ items: Object.freeze(all), atStart, loading });
    views.set(id, /** @type {any} */ (view));
    return /** @type {any} */ (view);
  }

  /** @param {import('./chats.js').Held} held @returns {import('./types.js').ChatView} */
  function chatView({ chat, removed }) {
    const me = session().user?.username ?? '';
    const told = chat.key_mode === 'combined' ? ofLog(chat, me) : ofServer(chat, me);
    const others = told.members
      .filter(({ username }) => username !== me)
      .map(({ displayName }) => displayName);
    const held = removed ? null : shares.heldOf(chat.id);
    return Object.freeze({
      id: chat.id,
      title: told.name ?? (others.join(', ') || 'Only you'),
      keyMode: chat.key_mode,
      createdBy: chat.created_by,
      ...told,
      shareDue: chat.key_mode === 'combined' && (chat.share_due || shares.causeOf(chat.id) !== null),
      held: held ? { username: held } : null,
      lastSeq: chat.last_seq,
      unread: removed ? 0 : unreadOf(chat, me),
      epoch: chat.epoch.number,
      needsConsent: chats.needsConsent(chat.id),
      warnings: [...(chats.memory(chat.id)?.warnings ?? [])],
      typing: presence.typing(chat.id).filter((username) => username !== me),
      ...(removed && { removed }),
    });
  }

  /** @type {Pick<import('./types.js').ChatView, 'unverified'|'unconfirmed'|'waiting'|'stuck'>} */
  const NOTHING_AMISS = Object.freeze({ unverified: false, unconfirmed: [], waiting: [], stuck: false });

  /** Name, members and roles by the server's word. @param {import('./answers.js').Chat} chat @param {string} me */
  function ofServer({ name, members }, me) {
    return {
      ...NOTHING_AMISS,
      name,
      members: members.map(({ username, display_name: displayName, role }) => ({
        username,
        displayName,
        role,
        waiting: false,
      })),
      myRole: members.find(({ username }) => username === me)?.role ?? null,
    };
  }

  /** By the signed log; before it was read, the server's word without roles. @param {import('./answers.js').Chat} chat
   * @param {string} me @returns {ReturnType<typeof ofServer>} */
  function ofLog(chat, me) {
    const { combined } = messages.stateOf(chat.id) ?? {};
    if (!combined?.head) {
      const { name, members } = ofServer(chat, me);
      const plain = members.map((member) => ({ ...member, role: /** @type {const} */ ('member') }));
      return { ...NOTHING_AMISS, unverified: true, name, members: plain, myRole: null };
    }
    const { head, gone, share } = combined;
    const { reset, mayConfirm, confirmers, stuck } = standingOf(combined, me);
    const here = [...head.members].filter(([username]) => !gone.has(username));
    const names = new Map(chat.members.map(({ username, display_name: name }) => [username, name]));
    return {
      unverified: false,
      name: head.name,
      members: here.map(([username, { role }]) => ({
        username,
        displayName: names.get(username) ?? presence.people().get(username)?.displayName ?? username,
        role,
        waiting: reset.includes(username) || Boolean(share?.excluded.has(username)),
      })),
      myRole: gone.has(me) ? null : (head.members.get(me)?.role ?? null),
      unconfirmed: mayConfirm,
      waiting: confirmers,
      stuck,
    };
  }

  /** @type {WeakMap<object, {revision: number, gone: number, value: ReturnType<typeof standing>}>} by the log's head */
  const standings = new WeakMap();

  /** Judged again only where log or somebody's keys moved: a chat may have 200 members.
   * @param {import('./timeline/combined.js').Combined} combined @param {string} me */
  function standingOf({ head, gone }, me) {
    const entry = /** @type {import('./crypto/membership.js').Entry} */ (head);
    const known = standings.get(entry);
    const revision = keysRevision();
    if (known?.revision === revision && known.gone === gone.size) return known.value;
    const lineOf = (/** @type {string} */ username) => pins.get(username)?.line;
    const value = standing({ entry, gone, lineOf, me });
    standings.set(entry, { revision, gone: gone.size, value });
    return value;
  }

  /** Messages of others above the read mark; items, where the chat is not loaded that far back.
   * @param {import('./answers.js').Chat} chat @param {string} me */
  function unreadOf({ id, read, last_seq: last, first_seq: first }, me) {
    const mark = Math.max(read[me] ?? 0, first - 1);
    const state = messages.stateOf(id);
    if (!state || state.first > mark + 1 || state.last < last) return Math.max(0, last - mark);
    return state.verdicts.filter(
      ({ facts }) => facts.kind === 'message' && facts.seq > mark && facts.header?.from !== me,
    ).length;
  }

  /** @returns {Record<string, import('./types.js').PersonView>} */
  function peopleView() {
    const people = [...presence.people().values()].map((seen) => {
      const status = /** @type {import('./types.js').PersonView['status']} */ (seen.status);
      const person = pins.get(seen.username);
      return {
        ...seen,
        status,
        warnings: [...(person?.warnings ?? [])],
        verified: pins.verified(seen.username) && !person?.warnings.includes('identity_reset'),
        canVerify: Boolean(person?.current),
        wasVerified: pins.held(seen.username),
      };
    });
    // Looked up by names that anybody may choose: nothing is inherited.
    const byName = people.map((person) => [person.username, person]);
    return Object.assign(Object.create(null), Object.fromEntries(byName));
  }

  function build() {
    const held = chats.all().sort((a, b) => b.active - a.active);
    return Object.freeze({
      ...session(),
      chats: held.map(chatView),
      people: peopleView(),
      open: Object.freeze(Object.fromEntries(messages.visible().map((id) => [id, openView(id)]))),
    });
  }

  return {
    /** Something changed: in that chat, or elsewhere. Listeners hear of it once per turn. @param {string} [chat] */
    changed(chat) {
      current = null;
      if (chat) views.delete(chat);
      if (!told) return;
      told = false;
      queueMicrotask(() => {
        told = true;
        for (const listener of [...listeners]) listener();
      });
    },
    clear() {
      views.clear();
      this.changed();
    },
    /** @param {() => void} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    /** @returns {import('./types.js').Snapshot} */
    get() {
      current ??= /** @type {any} */ (build());
      return /** @type {any} */ (current);
    },
  };
}
