/** Who made the key of a chat, in plain words. A `server` chat is never called end-to-end encrypted (docs/protocol.md §1). */

/** @type {Record<'server'|'combined', {words: string, hint: string, icon: import('../ui/icon.js').IconName}>} */
export const MODES = {
  server: {
    words: 'Server-made key',
    hint: 'The server made the key of this chat, handed it to the members and forgot it.',
    icon: 'key',
  },
  combined: {
    words: 'End-to-end encrypted',
    hint: 'Only the members hold the key of this chat.',
    icon: 'lock',
  },
};
