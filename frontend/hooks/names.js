/**
 * Names as the page shows them: without signs that pretend to be its own marks, such as a tick after a name that nobody
 * verified. What was chosen and signed stays as it is; only what is drawn differs. Pure.
 */

/** @typedef {import('../lib/types.js').ChatView} ChatView @typedef {import('../lib/types.js').PersonView} PersonView */

/** Ticks, locks, keys and shields, with what gives them their colour, and what turns the direction of writing. */
const MARKS =
  /[\u2611\u2705\u2713\u2714\u221A\u26BF\u26E8\u{1F5F8}\u{1F5F9}\u{1F510}-\u{1F513}\u{1F50F}\u{1F511}\u{1F5DD}\u{1F6E1}\u{10102}]\uFE0E?\uFE0F?|[\u202A-\u202E\u2066-\u2069]/gu;

/** @param {string} name @param {string} [otherwise]  where nothing is left of it */
export function shownName(name, otherwise = '?') {
  return name.replace(MARKS, ' ').replace(/\s+/gu, ' ').trim() || otherwise;
}

/**
 * The same answer for the same object, so that what is drawn from it is drawn once.
 * @template {object} T, U @param {(value: T) => U} make @returns {(value: T) => U}
 */
function once(make) {
  /** @type {WeakMap<T, U>} */
  const made = new WeakMap();
  return (value) => {
    const known = made.get(value);
    if (known) return known;
    const fresh = make(value);
    made.set(value, fresh);
    return fresh;
  };
}

/** @template {{username: string, displayName: string}} T @param {T} person @returns {T} */
export function shownPerson(person) {
  return { ...person, displayName: shownName(person.displayName, person.username) };
}

const shownChat = once((/** @type {ChatView} */ chat) =>
  Object.freeze({ ...chat, title: shownName(chat.title), members: chat.members.map(shownPerson) }),
);

/** @type {(chats: ChatView[]) => ChatView[]} */
export const shownChats = once((/** @type {ChatView[]} */ chats) => chats.map(shownChat));

/** @type {(people: Record<string, PersonView>) => Record<string, PersonView>} */
export const shownPeople = once((/** @type {Record<string, PersonView>} */ people) =>
  Object.fromEntries(Object.entries(people).map(([username, person]) => [username, shownPerson(person)])),
);
