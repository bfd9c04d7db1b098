/**
 * What has to be said about a chat before anybody reads or writes in it, each with what can be done about it: the
 * failures of docs/protocol.md §5 that are on a chat or a person, resets (§2) and what stops sending (§4). Pure.
 */
import { failureWords } from '../../hooks/words.js';
import { displayNameOf } from './people.js';

/** @typedef {import('../../lib/types.js').ChatView} ChatView @typedef {import('../../lib/types.js').PersonView} PersonView */
/**
 * @typedef {'accept'|'confirm'|'verify'|'replace'|'members'|'again'|'new'} Act
 *   accept: move the pin · confirm: a `keys` entry · verify: compare safety numbers · replace: a new share ·
 *   members: show who is in · again: fetch anew · new: another chat with the same people
 * @typedef {{label: string, act: Act, username?: string}} Action
 * @typedef {{key: string, tone: 'info'|'warning'|'danger', icon: 'warning'|'key'|'clock', title: string, text: string,
 *   actions: Action[]}} NoticeView
 */

/** What helps against each warning of a chat. @type {Record<string, Action>} */
const REMEDIES = {
  bad_share: { label: 'Renew key', act: 'replace' },
  wrong_recipient_key: { label: 'Renew key', act: 'replace' },
  invalid_membership: { label: 'See who is in', act: 'members' },
  history_fork: { label: 'Start another chat', act: 'new' },
  mode_changed: { label: 'Start another chat', act: 'new' },
  server_rollback: { label: 'Look again', act: 'again' },
};

/** @param {string} name @returns {NoticeView} */
function warningNotice(name) {
  const { title, explain } = failureWords(name);
  const remedy = Object.hasOwn(REMEDIES, name) ? REMEDIES[name] : REMEDIES.invalid_membership;
  return { key: name, tone: 'danger', icon: 'warning', title, text: explain, actions: [remedy] };
}

/** Everything about one member's keys. @param {ChatView} chat @param {PersonView|undefined} person
 * @param {{username: string, displayName: string}} member @returns {NoticeView[]} */
function memberNotices(chat, person, { username, displayName }) {
  const who = `${displayName} (@${username})`;
  const accept = { label: 'Accept keys', act: /** @type {const} */ ('accept'), username };
  const confirm = {
    label: `Confirm ${displayName}'s new keys`,
    act: /** @type {const} */ ('confirm'),
    username,
  };
  const reset = person?.warnings.includes('identity_reset') ?? false;
  const unconfirmed = chat.unconfirmed.includes(username);
  const stops = chat.held?.username === username;
  const held = stops || person?.wasVerified === true;
  /** @type {NoticeView[]} */
  const notices = [];
  if (person?.warnings.includes('weak_key')) {
    const { title, explain } = failureWords('weak_key');
    notices.push({
      key: `weak ${username}`,
      tone: 'danger',
      icon: 'key',
      title: `${who}: ${title}`,
      text: explain,
      actions: [{ label: 'See who is in', act: 'members' }],
    });
  }
  if (held) {
    notices.push({
      key: `held ${username}`,
      tone: 'danger',
      icon: 'key',
      title: `${who} has other keys than those you verified`,
      text: stops
        ? 'Nothing is sent here until you have compared safety numbers again, or go on without.'
        : 'They started over, or someone pretends to be them: compare safety numbers again, or go on without.',
      actions: [
        { label: 'Compare again', act: 'verify', username },
        { ...accept, label: 'Continue unverified' },
      ],
    });
  }
  // The library confirms nobody who was verified before that is answered.
  if (!held && (reset || unconfirmed)) {
    const actions = [...(reset ? [accept] : []), ...(unconfirmed ? [confirm] : [])];
    const told = unconfirmed ? ' Until you confirm them here, they read nothing new.' : '';
    notices.push({
      key: `reset ${username}`,
      tone: 'warning',
      icon: 'key',
      title: `${who} has new keys`,
      text: `They started over, or someone pretends to be them: ask them another way first.${told}`,
      actions,
    });
  }
  return notices;
}

/** Why the user reads or sends nothing. @param {ChatView} chat @param {Record<string, PersonView>} people @returns {NoticeView[]} */
function standstill(chat, people) {
  if (chat.stuck) {
    return [
      {
        key: 'stuck',
        tone: 'danger',
        icon: 'key',
        title: 'This chat cannot go on',
        text: 'The keys of everyone who could change it were replaced, so nobody can renew its key.',
        actions: [{ label: 'Start another chat', act: 'new' }],
      },
    ];
  }
  if (chat.waiting.length > 0) {
    const names = chat.waiting.map((username) => displayNameOf(people, chat, username));
    const who = new Intl.ListFormat('en', { type: 'disjunction' }).format(names);
    return [
      {
        key: 'waiting',
        tone: 'info',
        icon: 'clock',
        title: `${who} has to confirm your new keys`,
        text: 'Until then you read nothing new in this chat, and what you write waits.',
        actions: [{ label: `Verify ${names[0]}`, act: 'verify', username: chat.waiting[0] }],
      },
    ];
  }
  return [];
}

/**
 * @param {ChatView} chat @param {Record<string, PersonView>} people @param {string} me
 * @param {boolean} waits  own messages wait to be sent
 * @returns {NoticeView[]} the gravest first; without anything to do where the user is no longer in the chat
 */
export function noticesOf(chat, people, me, waits) {
  const warnings = chat.warnings.map(warningNotice);
  if (chat.removed) return warnings.map((notice) => ({ ...notice, actions: [] }));
  const others = chat.members.filter(({ username }) => username !== me);
  const stopped = standstill(chat, people);
  /** @type {NoticeView[]} */
  const due =
    chat.shareDue && waits && stopped.length === 0
      ? [
          {
            key: 'due',
            tone: 'info',
            icon: 'clock',
            title: 'The key is being renewed',
            text: 'What you wrote is sent when that is done.',
            actions: [{ label: 'Renew key', act: 'replace' }],
          },
        ]
      : [];
  const about = others.flatMap((member) => memberNotices(chat, people[member.username], member));
  return [...warnings, ...stopped, ...about, ...due];
}
