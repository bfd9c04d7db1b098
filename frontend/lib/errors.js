// The closed list of everything that can go wrong, and the words a person reads for it.
//
// Callers compare `code`, never messages. A code is either a server problem code (protocol §8), a failure or
// warning name of a client (protocol §5), a rule that a client keeps by itself,
// or one of the three names at the end for a server that cannot be reached or understood. Constructing an error with any other code is refused: a new code is added here first.

/** Failure and warning names of protocol §5, in the page's order. */
const CLIENT_FAILURES = {
  malformed: [
    'Not a valid message',
    'It does not follow the protocol, so nothing in it was used. The app that sent it should be updated.',
  ],
  bad_signature: [
    'Signature does not match',
    'It was changed on its way, or was not written by this person. Ask them to send it again.',
  ],
  unknown_key: [
    'Signed with an unknown key',
    'The key does not belong to the keys known for this person. If they have just changed keys, sending again helps.',
  ],
  not_a_member: ['Sender is not in this chat', 'Someone who was not a member at this point sent this.'],
  wrong_epoch: [
    'Outdated chat key',
    'It was encrypted for another period of this chat than the one it appears in.',
  ],
  key_mismatch: [
    'Different chat key',
    'The sender used another key than yours, so members might read different texts. A new chat key repairs this.',
  ],
  undecryptable: [
    'Cannot be decrypted',
    'The chat key does not open this message. Ask the sender to send it again.',
  ],
  bad_padding: [
    'Damaged after decryption',
    'It opens, but its padding is wrong, so its content is not shown.',
  ],
  replayed: ['Repeated message', 'This message was already delivered once; this copy is not shown again.'],
  waiting_for_key: [
    'Waiting for the key',
    'The key for this message has not arrived yet. It opens by itself then.',
  ],
  key_lost: [
    'Key no longer available',
    'It was encrypted to an earlier key of yours that this device and your backup do not hold.',
  ],
  unconfirmed_key: [
    'New keys, not yet accepted',
    'This person started over with new keys. Check with them that it was really them, then accept the keys.',
  ],
  chain_gap: [
    'A message is missing before this one',
    'The server withheld something, or the sender lost it.',
  ],
  chain_fork: [
    'Two different messages in one place',
    "The server showed different messages, or the sender's device was restored from an old copy.",
  ],
  history_fork: [
    'Members see different histories',
    'The server has shown you something else than it showed to others in this chat.',
  ],
  server_rollback: [
    'The server lost something',
    'It no longer has what it had confirmed. Your own messages are sent again.',
  ],
  bad_share: [
    'Unusable key share',
    'The key share for this chat does not match its members, so nothing under it is accepted. A new one is made.',
  ],
  wrong_recipient_key: [
    'Key wrapped for someone else',
    'The key share for this chat opens with no key of yours, or to something else than its maker signed. Make a new one.',
  ],
  invalid_membership: [
    'Invalid change of members',
    'A change of members does not follow the rules and was refused.',
  ],
  weak_kdf: [
    'Password protection refused',
    'The server asked for weaker or other password protection than is safe. Nothing was sent; do not try again there.',
  ],
  weak_key: ['Unsafe key', 'The key has a form or size that must not be used, so it was refused.'],
  identity_reset: [
    'Keys were replaced',
    'The keys of this account were replaced without a link to the earlier ones. If it was not you, change the password.',
  ],
  mode_changed: [
    'Kind of encryption changed',
    'The server says that this chat now has another kind of key than before. That is never right; it was refused.',
  ],
};

/** Problem codes of protocol §8 that §5 does not name already. */
const SERVER_PROBLEMS = {
  invalid: ['Not accepted', 'Something in the request is not as the server expects it.'],
  malformed_key: ['Not a valid key', 'The key is not encoded as its kind demands.'],
  unsupported_algorithm: ['Unsupported algorithm', 'This kind of key or signature is not known.'],
  invalid_proof: [
    'Key proof does not match',
    'The proof that these keys belong together is missing or wrong.',
  ],
  invalid_share: ['Invalid key share', 'The server refused a key share that could never be right.'],
  weak_password: ['Password too weak', 'Choose a longer or less common password.'],
  unauthorized: ['Not logged in', 'Log in to go on.'],
  invalid_credentials: ['Wrong username or password', 'Check both and try again.'],
  token_expired: ['Session expired', 'Log in again to go on.'],
  forbidden: ['Not allowed', 'Only an owner of this chat may do that.'],
  wrong_password: ['Wrong password', 'The current password does not match.'],
  csrf_failed: ['Request refused', 'Reload the page and try again.'],
  registration_closed: ['Registration is closed', 'This server takes no new accounts.'],
  not_found: ['Not found', 'It does not exist, or you have no access to it.'],
  method_not_allowed: ['Not possible here', 'The server does not offer this.'],
  not_acceptable: ['Not possible here', 'The server cannot answer in this form.'],
  unsupported_media_type: ['Not possible here', 'The server does not take this form of data.'],
  username_taken: ['Username is taken', 'Choose another one.'],
  id_conflict: ['Already used', 'Something else was stored under the same id.'],
  stale_epoch: ['Chat key has changed', 'The message is encrypted again under the new key and sent.'],
  share_due: ['Chat key is being renewed', 'Messages wait until a member has renewed the key.'],
  epoch_conflict: ['Someone else was faster', 'The chat changed meanwhile; it is tried again.'],
  membership_conflict: ['Someone else was faster', 'The members changed meanwhile; look again and repeat.'],
  member_without_keys: [
    'Has no keys yet',
    'This person has to log in with the app before they can be added.',
  ],
  last_owner: ['You are the last owner', 'Make someone else an owner first.'],
  keys_conflict: ['Keys have changed meanwhile', 'Log in again to fetch the current keys.'],
  backup_conflict: [
    'Backup has changed meanwhile',
    'Another device stored a newer backup; it is read first.',
  ],
  state_conflict: ['Stored elsewhere meanwhile', 'Another device stored something newer; it is read first.'],
  too_large: ['Too large', 'It is larger than the server takes.'],
  range_not_satisfiable: ['No such part', 'The file is shorter than the part that was asked for.'],
  rate_limited: ['Too many tries', 'Wait a moment, then try again.'],
  unavailable: ['Server has a problem', 'It cannot do this at the moment. It is tried again.'],
};

/** Rules that a client keeps by itself, before anything is sent or shown (protocol §1, §3, §5). */
const CLIENT_RULES = {
  consent_needed: [
    'The server makes the keys of this chat',
    'Someone else started it. Agree that the server makes its keys before you write in it.',
  ],
  keys_unavailable: [
    'Your keys are not available',
    'The key backup is missing, outdated, or does not open. New keys are never made without being asked for.',
  ],
  bad_attachment: [
    'Not the file that was sent',
    'It was changed on the server or on the way, so it was thrown away. Ask for it again.',
  ],
};

/** What only the transport can report: no answer, a late one, or one that is none. */
const TRANSPORT_FAILURES = {
  offline: ['No connection', 'The server cannot be reached. It is tried again when the connection is back.'],
  timeout: ['No answer', 'The server did not answer in time. It is tried again.'],
  bad_answer: ['Unexpected answer', 'The server answered with something that is not of this protocol.'],
};

/**
 * Words in plain English for every code.
 * @type {Readonly<Record<string, Readonly<{title: string, explain: string}>>>}
 */
export const FAILURES = Object.freeze(
  Object.fromEntries(
    Object.entries({ ...CLIENT_FAILURES, ...SERVER_PROBLEMS, ...CLIENT_RULES, ...TRANSPORT_FAILURES }).map(
      ([name, [title, explain]]) => [name, Object.freeze({ title, explain })],
    ),
  ),
);

/** True for a code of the closed list. @param {unknown} code @returns {code is string} */
export const isFailure = (code) => typeof code === 'string' && Object.hasOwn(FAILURES, code);

/** The one error class of the library; `code` is what callers compare. */
export class ChatSecError extends Error {
  /**
   * @param {string} code a key of FAILURES
   * @param {string} [detail] for developers and logs; never holds a secret
   * @param {Record<string, unknown>} [extra] the fields that stand beside `code` (protocol §8)
   */
  constructor(code, detail, extra = {}) {
    if (!isFailure(code)) throw new TypeError(`not a code of the closed list: ${code}`);
    super(detail ?? FAILURES[code].title);
    this.name = 'ChatSecError';
    this.code = code;
    this.detail = detail ?? FAILURES[code].title;
    this.extra = extra;
  }
}
