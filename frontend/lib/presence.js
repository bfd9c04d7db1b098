/**
 * Who is there, and who is typing: the server's word, kept for as long as it holds (protocol §7).
 */

const TYPING_MS = 6_000;

/**
 * @typedef {{username: string, displayName: string, status: string, lastSeen: string|null}} Seen
 * @param {{after: (ms: number, then: () => void) => () => void, onChange: () => void}} parts `after` is a timer that
 *   can be called off
 */
export function createPresence({ after, onChange }) {
  /** @type {Map<string, Seen>} */
  const people = new Map();
  /** @type {Map<string, Map<string, () => void>>} chat → username → calls off the end */
  const typing = new Map();

  /** @param {string} username @param {Partial<Seen>} change */
  function merge(username, change) {
    const held = people.get(username) ?? {
      username,
      displayName: username,
      status: 'offline',
      lastSeen: null,
    };
    people.set(username, { ...held, ...change });
  }

  /** @param {any} told */
  function mergePresence(told) {
    if (typeof told?.username !== 'string' || typeof told.status !== 'string') return;
    merge(told.username, {
      status: told.status,
      lastSeen: typeof told.last_seen === 'string' ? told.last_seen : null,
    });
  }

  /** @param {string} chat @param {string} username */
  function stop(chat, username) {
    typing.get(chat)?.get(username)?.();
    typing.get(chat)?.delete(username);
  }

  return {
    people: () => people,
    /** @param {string} chat */
    typing: (chat) => [...(typing.get(chat)?.keys() ?? [])],
    /** @param {string} username @param {string} displayName */
    name(username, displayName) {
      merge(username, { displayName });
    },
    /** @param {import('./answers.js').User} user */
    takeUser(user) {
      merge(user.username, { displayName: user.display_name });
      mergePresence(user);
      onChange();
    },
    /** Everybody who is not offline. @param {any} list */
    takeList(list) {
      if (!Array.isArray(list)) return;
      for (const username of people.keys()) merge(username, { status: 'offline' });
      list.forEach(mergePresence);
      onChange();
    },
    /** @param {any} change one, or several of one second */
    takeChange(change) {
      for (const each of Array.isArray(change) ? change : [change]) mergePresence(each);
      onChange();
    },
    /** @param {any} told */
    takeTyping({ chat, username, active }) {
      stop(chat, username);
      if (active) {
        const held = typing.get(chat) ?? new Map();
        const end = () => {
          stop(chat, username);
          onChange();
        };
        typing.set(chat, held.set(username, after(TYPING_MS, end)));
      }
      onChange();
    },
    clear() {
      for (const held of typing.values()) for (const callOff of held.values()) callOff();
      people.clear();
      typing.clear();
    },
  };
}
