'use client';
/** One member: name, mark, role, and what the user may do about them. What is urgent stands open, the rest behind a button. */
import { useId, useState } from 'react';
import { VerifiedMark } from '../security/verified-mark.js';
import { Avatar } from '../ui/avatar.js';
import { Button, IconButton } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { shownStatus, statusWords } from './people.js';
import { rightsOver } from './rights.js';
import styles from './chat-details.module.css';

/** @typedef {import('../../lib/types.js').ChatView['members'][number]} Member */
/** @typedef {import('../../lib/types.js').PersonView} PersonView */

/** @param {{rights: import('./rights.js').Rights, member: Member, busy: boolean, onVerify: () => void, onRole: (role: 'owner'|'member') => void, onRemove: () => void}} props */
function Options({ rights, member, busy, onVerify, onRole, onRemove }) {
  const name = member.displayName;
  const { role } = rights;
  return (
    <>
      {rights.verify ? (
        <Button small onClick={onVerify}>
          Verify {name}
        </Button>
      ) : null}
      {role ? (
        <Button small disabled={busy} aria-label={`Make ${role}: ${name}`} onClick={() => onRole(role)}>
          Make {role}
        </Button>
      ) : null}
      {rights.remove ? (
        <Button small kind="danger" disabled={busy} aria-label={`Remove ${name}`} onClick={onRemove}>
          Remove
        </Button>
      ) : null}
    </>
  );
}

/**
 * @param {{chat: import('../../lib/types.js').ChatView, member: Member, person: PersonView|undefined, me: string,
 *   busy: boolean, startOpen: boolean, onVerify: () => void, onRole: (role: 'owner'|'member') => void,
 *   onRemove: () => void, onConfirm: () => void}} props
 */
export function MemberRow({ chat, member, person, me, busy, startOpen, onConfirm, ...actions }) {
  const id = useId();
  const [open, setOpen] = useState(startOpen);
  const { username, displayName, role } = member;
  const self = username === me;
  const rights = rightsOver(chat, member, person, me);
  const some = rights.verify || rights.role !== null || rights.remove;
  return (
    <li className={styles.member}>
      <Avatar name={displayName} seed={username} status={self ? undefined : shownStatus(person?.status)} />
      <span className={styles.words}>
        <strong>
          {self ? `${displayName} (you)` : displayName}
          <VerifiedMark verified={person?.verified} />
        </strong>
        <span>
          @{username}
          {self ? '' : ` · ${statusWords(person?.status)}`}
        </span>
        {member.waiting ? (
          <span className={styles.wait}>New keys, not confirmed: reads nothing new</span>
        ) : null}
      </span>
      {role === 'owner' ? <span className={styles.role}>Owner</span> : null}
      {some ? (
        <IconButton
          label={`Options for ${displayName}`}
          aria-expanded={open}
          aria-controls={id}
          onClick={() => setOpen(!open)}
        >
          <Icon name="more" />
        </IconButton>
      ) : null}
      <div id={id} className={styles.options}>
        {rights.confirm ? (
          <Button small kind="primary" disabled={busy} onClick={onConfirm}>
            Confirm {displayName}
            {"'"}s new keys
          </Button>
        ) : null}
        {some && open ? <Options rights={rights} member={member} busy={busy} {...actions} /> : null}
      </div>
    </li>
  );
}
