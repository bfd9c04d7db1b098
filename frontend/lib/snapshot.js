/**
 * What the page draws, as one immutable value (types.js). Parts that did not change keep their reference, so that a
 * view of one chat is not drawn again for the sake of another. Refuses nothing; it only reads.
 */

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./outbox.js').createOutbox>} parts.outbox
 * @param {ReturnType<typeof import('./presence.js').createPresence>} parts.presence
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {() => Pick<import('./types.js').Snapshot, 'phase'|'user'|'connection'|'accountWarnings'>} parts.session
 */
export function createSnapshots({ chats, messages, outbox, presence, pins, session }) {
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
    const view = Object.freeze({ items: Object.freeze([...items, ...outbox.view(id)]), atStart, loading });
    views.set(id, /** @type {any} */ (view));
    return /** @type {any} */ (view);
  }

  /** @param {import('./chats.js').Held} held @returns {import('./types.js').ChatView} */
  function chatView({ chat, removed }) {
    const me = session().user?.username ?? '';
    const members = chat.members.map(({ username, display_name: displayName, role }) => ({
      username,
      displayName,
      role,
    }));
    const others = members.filter(({ username }) => username !== me).map(({ displayName }) => displayName);
    return Object.freeze({
      id: chat.id,
      name: chat.name,
      title: chat.name ?? (others.join(', ') || 'Only you'),
      keyMode: chat.key_mode,
      createdBy: chat.created_by,
      members,
      lastSeq: chat.last_seq,
      unread: removed ? 0 : unreadOf(chat, me),
      epoch: chat.epoch.number,
      needsConsent: chats.needsConsent(chat.id),
      warnings: [...(chats.memory(chat.id)?.warnings ?? [])],
      typing: presence.typing(chat.id).filter((username) => username !== me),
      ...(removed && { removed }),
    });
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
      return { ...seen, status, warnings: [...(pins.get(seen.username)?.warnings ?? [])] };
    });
    return Object.fromEntries(people.map((person) => [person.username, person]));
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
