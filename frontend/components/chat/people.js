/** Small facts about chats and people that several parts of the page word in the same way. */

/** @typedef {import('../../lib/types.js').ChatView} ChatView @typedef {import('../../lib/types.js').PersonView} PersonView */

/** The other member of a chat of two without a name of its own, else null. @param {ChatView} chat @param {string} me */
export function otherOf(chat, me) {
  if (chat.name || chat.members.length !== 2) return null;
  return chat.members.find(({ username }) => username !== me) ?? null;
}

/** Others learn "invisible" as "offline". @param {string|undefined} status @returns {'online'|'away'|'offline'} */
export function shownStatus(status) {
  return status === 'online' || status === 'away' ? status : 'offline';
}

/** @type {Record<string, string>} */
const STATUS_WORDS = { online: 'online', away: 'away', offline: 'offline', invisible: 'offline' };

/** @param {string|undefined} status */
export function statusWords(status) {
  return STATUS_WORDS[status ?? 'offline'] ?? 'offline';
}

/** @param {Record<string, PersonView>} people @param {ChatView} chat @param {string} username @returns {string} */
export function displayNameOf(people, chat, username) {
  const member = chat.members.find((each) => each.username === username);
  return member?.displayName || people[username]?.displayName || username;
}

/** "Ann is typing…" @param {string[]} names */
export function typingWords(names) {
  if (names.length === 0) return '';
  if (names.length === 1) return `${names[0]} is typing…`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
  return 'Several people are typing…';
}

/** @param {ChatView} chat */
export function countWords({ members }) {
  return `${members.length} ${members.length === 1 ? 'member' : 'members'}`;
}

/** ", 2 online", of the others; '' if nobody is. @param {ChatView} chat @param {Record<string, PersonView>} people @param {string} me */
export function onlineWords(chat, people, me) {
  const others = chat.members.filter(({ username }) => username !== me);
  const online = others.filter(({ username }) => people[username]?.status === 'online').length;
  return online > 0 ? `, ${online} online` : '';
}
