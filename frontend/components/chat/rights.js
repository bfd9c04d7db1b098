/** What the user may do about a member of a chat, as far as the page offers it; the library and the server judge it again. Pure. */

/** @typedef {import('../../lib/types.js').ChatView['members'][number]} Member */
/** @typedef {import('../../lib/types.js').PersonView} PersonView */

/**
 * What stands in a member's row.
 * @typedef {Object} Rights
 * @property {boolean} verify
 * @property {'owner'|'member'|null} role  the role that can be given
 * @property {boolean} remove
 * @property {boolean} confirm  new keys wait for the user's yes
 */

/**
 * @param {import('../../lib/types.js').ChatView} chat @param {Member} member @param {PersonView|undefined} person
 * @param {string} me @returns {Rights}
 */
export function rightsOver(chat, member, person, me) {
  const self = member.username === me;
  const mayChange = chat.myRole === 'owner' && !chat.removed;
  const owners = chat.members.filter(({ role }) => role === 'owner').length;
  const last = member.role === 'owner' && owners === 1;
  return {
    verify: !self && person?.canVerify === true,
    role: mayChange && !last ? (member.role === 'owner' ? 'member' : 'owner') : null,
    remove: mayChange && !self,
    confirm: !chat.removed && chat.unconfirmed.includes(member.username) && person?.wasVerified !== true,
  };
}
