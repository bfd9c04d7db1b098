/**
 * The shapes that pass the library's door, as JSDoc only: what the page draws and what it may ask for.
 * Nothing here runs. Names follow docs/protocol.md; words for people come from `FAILURES`.
 *
 * @typedef {'starting'|'signed_out'|'working'|'ready'} Phase
 *   `starting`: before `restore()` has answered. `working`: register, login or restore is under way.
 * @typedef {'offline'|'connecting'|'online'} Connection
 *
 * @typedef {Object} Snapshot  Immutable; the same reference until something changes (fits useSyncExternalStore).
 * @property {Phase} phase
 * @property {{username: string, displayName: string}|null} user
 * @property {Connection} connection
 * @property {ChatView[]} chats  newest activity first
 * @property {Record<string, PersonView>} people  by username
 * @property {AccountWarning[]} accountWarnings
 * @property {{recovery: boolean|null, keyMode: 'server'|'combined'|null}} account  whether a recovery code is stored (null: not known
 *   yet); how new chats get their keys
 * @property {Record<string, OpenView>} open  by chat id: the chats whose pages are loaded
 *
 * @typedef {{name: string, detail: string}} AccountWarning  `name` is a key of FAILURES
 *
 * @typedef {Object} ChatView
 * @property {string} id
 * @property {string|null} name   as the chat was named
 * @property {string} title       the name, else the other members' display names
 * @property {'server'|'combined'} keyMode
 * @property {string} createdBy
 * @property {boolean} unverified  a `combined` chat whose signed log was not read in this session yet: name and members are
 *   still the server's word, everybody shows as `member`, and `myRole` is null
 * @property {{username: string, displayName: string, role: 'owner'|'member', waiting: boolean}[]} members  `waiting`: excluded
 *   from the current share since their keys were reset and nobody has confirmed the new ones
 * @property {'owner'|'member'|null} myRole
 * @property {boolean} shareDue  messages wait until a member has posted a new share
 * @property {string[]} unconfirmed  usernames whose new keys I may confirm
 * @property {string[]} waiting      who may confirm mine, where I am the one who waits; else empty
 * @property {boolean} stuck         nobody can sign any more: only a new chat helps
 * @property {{username: string}|null} held  this verified person's keys were reset: nothing is sent before acceptKeys
 *   or setVerified
 * @property {number} lastSeq
 * @property {number} unread
 * @property {number} epoch
 * @property {boolean} needsConsent  a `server` chat made by someone else, before the user's first yes (§1)
 * @property {string[]} warnings     failure names of §5 that concern the whole chat
 * @property {string[]} typing       usernames
 * @property {boolean} [removed]     the user is no longer in it; what was loaded stays readable until logout
 *
 * @typedef {Object} PersonView
 * @property {string} username
 * @property {string} displayName
 * @property {'online'|'away'|'offline'|'invisible'} status
 * @property {string|null} lastSeen  RFC 3339
 * @property {string[]} warnings     `identity_reset`, `weak_key`, `server_rollback`: see acceptKeys
 * @property {boolean} verified      the user found the safety number to be the same, and the keys have not been reset since
 * @property {boolean} canVerify     their keys are known here
 * @property {boolean} wasVerified   verified before a reset that the user has not answered yet by acceptKeys or setVerified
 *
 * @typedef {{items: Item[], atStart: boolean, loading: boolean}} OpenView  oldest first
 * @typedef {MessageItem|EventItem} Item
 *
 * @typedef {Object} MessageItem
 * @property {'message'} kind
 * @property {string} key        stable across queued → sent; use it as the React key
 * @property {string} id         '' when the message is so malformed that it has none
 * @property {number|null} seq   null while queued
 * @property {string} from       username the message claims; judged by `state`
 * @property {string|null} at    the author's clock, RFC 3339; informative
 * @property {string|null} receivedAt  the server's word, RFC 3339
 * @property {string} alg
 * @property {boolean} mine
 * @property {'verified'|'failed'|'queued'|'sent'|'delivered'|'read'} state
 *   others' messages: verified, failed. Own: queued, sent, delivered, read, failed.
 * @property {string|null} reason   failure name of §5, or a problem code of §8 for an own message that was refused
 * @property {string|null} explain  the reason in words
 * @property {string[]} warnings    `chain_gap`, `chain_fork`, `history_fork`, `server_rollback`, `unconfirmed_key`
 * @property {Payload|null} payload null while it cannot be shown
 * @property {{id: string, from: string, body: string}} [replyTo]  the message it answers, when that is loaded
 *
 * @typedef {Object} Payload  as sent, with what later edits, deletions and reactions made of it
 * @property {string} type             `text`; any other string is shown as such, never dropped
 * @property {string} [body]
 * @property {string} [reply_to]
 * @property {Attachment[]} [attachments]
 * @property {boolean} [edited]
 * @property {boolean} [deleted]
 * @property {Record<string, string[]>} [reactions]  emoji → usernames
 *
 * @typedef {{id: string, key: string, nonce: string, name: string, mime: string, size: number, sha256: string}} Attachment
 *   as its payload carries it (§5); `size` in bytes of the plaintext
 *
 * @typedef {Object} EventItem
 * @property {'event'} kind
 * @property {string} key
 * @property {number} seq
 * @property {{kind: string, by: string, usernames: string[], epoch: number}} event
 * @property {string} receivedAt
 * @property {string[]} warnings
 *
 * @typedef {Object} User  one hit of findPeople
 * @property {string} username
 * @property {string} displayName
 * @property {string} status
 * @property {string|null} lastSeen
 * @property {boolean} hasKeys  false: nobody can start a chat with them yet
 *
 * @typedef {{step: string, done: number, of: number}} Progress
 *   step: `password`, `keys`, `account`, `backup`, `history`
 *
 * @typedef {Object} ChatChange
 * @property {'add'|'remove'|'role'|'rename'|'rekey'} kind
 * @property {string[]} [usernames]
 * @property {'owner'|'member'} [role]
 * @property {string} [name]
 *
 * @typedef {Object} Client
 * @property {(listener: () => void) => () => void} subscribe  synchronous; returns unsubscribe
 * @property {() => Snapshot} getSnapshot  synchronous
 * @property {() => Promise<boolean>} restore  resume from the refresh cookie and the stored keys; false if there is nothing to resume
 * @property {(account: {username: string, displayName: string, password: string},
 *   options?: {onProgress?: (p: Progress) => void}) => Promise<void>} register
 * @property {(account: {username: string, password: string},
 *   options?: {onProgress?: (p: Progress) => void}) => Promise<void>} login
 * @property {(account: {username: string, code: string, newPassword: string},
 *   options?: {onProgress?: (p: Progress) => void}) => Promise<{recoveryCode: string}>} recover  logs in; the used code is replaced
 *   by the one returned, which is stored already. Throws `invalid` (no code), `invalid_credentials`.
 * @property {() => string} newRecoveryCode  synchronous; groups of four; nothing is stored yet
 * @property {(parts: {code: string, password: string}) => Promise<void>} saveRecoveryCode  stored, read back and opened. Throws
 *   `invalid`, `wrong_password`.
 * @property {(parts: {password: string, newPassword: string, compromised: boolean},
 *   options?: {onProgress?: (p: Progress) => void}) => Promise<{recoveryCode: string|null}>} changePassword  ends all other sessions;
 *   `compromised`: new keys and a new recovery code, too. Throws `wrong_password`.
 * @property {() => Promise<{id: string, createdAt: string, usedAt: string, agent: string, current: boolean}[]>} sessions
 * @property {(id: string) => Promise<void>} endSession
 * @property {(parts: {password: string}) => Promise<void>} deleteAccount  for ever. Throws `wrong_password`, `last_owner`.
 * @property {() => Promise<void>} logout  ends the session and clears everything stored
 * @property {(query: string) => Promise<User[]>} findPeople
 * @property {(chat: {usernames: string[], name?: string, keyMode?: 'server'|'combined'}) => Promise<string>} startChat  the new
 *   chat's id; without `keyMode` the server's setting. Throws `identity_reset` for a verified person with reset keys.
 * @property {(id: string) => Promise<void>} eraseChat
 * @property {(id: string) => Promise<void>} leaveChat
 * @property {(id: string, change: ChatChange) => Promise<void>} changeChat  where its answer is lost (`timeout`, `offline`) it
 *   is sent again with the next connection
 * @property {(id: string, username: string) => Promise<void>} confirmKeys  new keys of a member after a reset, in that chat
 * @property {(id: string) => Promise<void>} replaceShare  posts a new share
 * @property {(id: string) => Promise<void>} openChat   loads and verifies the newest page, then stays live
 * @property {(id: string) => Promise<void>} loadOlder
 * @property {(id: string) => void} closeChat  synchronous
 * @property {(id: string, payload: {body: string, reply_to?: string, attachments?: Attachment[]}, alg?: string) => Promise<string>} send
 *   the message id; it stands in the snapshot as `queued` before this resolves. Throws `consent_needed` before acceptServerMade.
 * @property {(chatId: string, id: string, body: string) => Promise<void>} editMessage  an own one; like all three, it
 *   shows at once, and is sent when it can be. Throws `forbidden` where it is not the user's own.
 * @property {(chatId: string, id: string) => Promise<void>} deleteMessage
 * @property {(chatId: string, id: string, emoji: string, on: boolean) => Promise<void>} react
 * @property {(chatId: string, id: string) => Promise<void>} retry    try a failed own message again
 * @property {(chatId: string, id: string) => Promise<void>} discard  drop a failed own message
 * @property {(chatId: string) => Promise<void>} acceptServerMade
 * @property {(username: string) => Promise<{digits: string, qr: string}>} safetyNumber  60 digits in groups of five; text of the QR code.
 *   Throws `identity_reset` (own keys), `weak_key`, `server_rollback`.
 * @property {(username: string, verified: boolean) => Promise<void>} setVerified  resolves when it is stored at the server; a yes is to
 *   the number shown last, and accepts the keys. Throws `keys_conflict` where they have changed since.
 * @property {(chatId: string, blob: Blob, options: {name: string, mime: string, onProgress?: (amount: {done: number, of: number}) => void,
 *   signal?: AbortSignal}) => Promise<Attachment>} attach  encrypts and uploads; then `send` it. Throws `too_large`; cancelled:
 *   the signal's reason.
 * @property {(chatId: string, attachment: Attachment, options?: {onProgress?: (amount: {done: number, of: number}) => void,
 *   signal?: AbortSignal}) => Promise<Blob>} openAttachment  its type is that of an image, or octet-stream: never one that a browser
 *   runs. Throws `bad_attachment`, `undecryptable`, `too_large`, `not_found`, `offline`, `timeout`; cancelled: the signal's reason.
 * @property {(username: string) => Promise<void>} acceptKeys  moves the pin to the keys shown now
 * @property {(chatId: string) => Promise<void>} markRead
 * @property {(chatId: string, active: boolean) => Promise<void>} typing
 * @property {(status: 'online'|'away'|'invisible') => Promise<void>} setStatus
 * @property {(on: boolean) => Promise<void>} watchDirectory
 * @property {() => void} close  ends the socket and the worker, keeps the session and the store (for tests and bots)
 *
 * @typedef {import('./store/port.js').Store} Store
 */

export {};
