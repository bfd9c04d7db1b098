'use client';
/** Who is in the chat and in which role; for owners what can be changed about it, and for everyone the ways out of it. */
import { useState } from 'react';
import { useAction } from '../../hooks/useAction.js';
import { useChatActions } from '../../hooks/useChats.js';
import { VerifyDialog } from '../security/lazy-verify-dialog.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Icon } from '../ui/icon.js';
import { Notice } from '../ui/notice.js';
import { AddPeople } from './add-people.js';
import { ChatName } from './chat-name.js';
import { MemberRow } from './member-row.js';
import styles from './chat-details.module.css';

/** @typedef {import('../../lib/types.js').ChatView} ChatView */
/** @typedef {{title: string, text: string, yes: string, run: () => Promise<unknown>}} Question  asked before what cannot be undone */

/** @param {{question: Question, busy: boolean, onYes: () => void, onNo: () => void}} props */
function Ask({ question, busy, onYes, onNo }) {
  return (
    <Notice
      tone="danger"
      title={question.title}
      label={question.title}
      action={
        <>
          <Button small kind="danger" disabled={busy} onClick={onYes}>
            {question.yes}
          </Button>
          <Button small kind="quiet" disabled={busy} onClick={onNo}>
            Cancel
          </Button>
        </>
      }
    >
      {question.text}
    </Notice>
  );
}

/** @param {ChatView} chat @param {ReturnType<typeof useChatActions>} actions @returns {Record<'leave'|'erase'|'rekey', Question>} */
function questionsOf({ id }, { leaveChat, eraseChat, changeChat }) {
  return {
    leave: {
      title: 'Leave this chat?',
      text: 'You read nothing that is written after this.',
      yes: 'Yes, leave',
      run: () => leaveChat(id),
    },
    erase: {
      title: 'Erase this chat?',
      text: 'Everything in it is erased for all members, for good.',
      yes: 'Yes, erase',
      run: () => eraseChat(id),
    },
    rekey: {
      title: 'Renew the key?',
      text: 'What is written from now on is encrypted under a new key.',
      yes: 'Yes, renew',
      run: () => changeChat(id, { kind: 'rekey' }),
    },
  };
}

/**
 * @param {{chat: ChatView, people: Record<string, import('../../lib/types.js').PersonView>, me: string, onClose: () => void}} props
 */
export function ChatDetails({ chat, people, me, onClose }) {
  const actions = useChatActions();
  const { changeChat, confirmKeys } = actions;
  const { busy, problem, run } = useAction();
  const [asked, setAsked] = useState(/** @type {'leave'|'erase'|'rekey'|null} */ (null));
  const [adding, setAdding] = useState(false);
  const [verifying, setVerifying] = useState(/** @type {string|null} */ (null));
  const owner = chat.myRole === 'owner' && !chat.removed;
  const questions = questionsOf(chat, actions);

  /** @param {'leave'|'erase'|'rekey'} what */
  async function answerYes(what) {
    const done = await run(what, questions[what].run);
    setAsked(null);
    if (done && what !== 'rekey') window.location.hash = '';
  }

  /** @param {import('../../lib/types.js').ChatChange} change */
  const make = (change) => run(change.kind, () => changeChat(chat.id, change));
  return (
    <Dialog title="Members" onClose={onClose}>
      <ChatName
        chat={chat}
        mayRename={owner}
        busy={busy !== ''}
        onRename={(name) => make({ kind: 'rename', name })}
      />
      <ul className={styles.members}>
        {chat.members.map((member) => (
          <MemberRow
            key={member.username}
            chat={chat}
            member={member}
            person={people[member.username]}
            me={me}
            busy={busy !== ''}
            startOpen={chat.members.length === 2 && member.username !== me}
            onVerify={() => setVerifying(member.username)}
            onRole={(role) => void make({ kind: 'role', usernames: [member.username], role })}
            onRemove={() => void make({ kind: 'remove', usernames: [member.username] })}
            onConfirm={() => void run('keys', () => confirmKeys(chat.id, member.username))}
          />
        ))}
      </ul>
      <div className={styles.foot}>
        {chat.unverified ? (
          <Notice tone="info" icon="clock">
            These are the members by the server{"'"}s word: the signed list has not been read yet.
          </Notice>
        ) : null}
        {problem ? <Notice tone="danger">{problem}</Notice> : null}
        {asked ? (
          <Ask
            question={questions[asked]}
            busy={busy !== ''}
            onYes={() => void answerYes(asked)}
            onNo={() => setAsked(null)}
          />
        ) : null}
        {chat.removed ? null : (
          <div className={styles.actions}>
            {owner ? (
              <Button small kind="primary" onClick={() => setAdding(true)}>
                <Icon name="plus" size="small" /> Add people
              </Button>
            ) : null}
            <Button small onClick={() => setAsked('rekey')}>
              Renew key
            </Button>
            <Button small onClick={() => setAsked('leave')}>
              Leave chat
            </Button>
            {owner ? (
              <Button small kind="danger" onClick={() => setAsked('erase')}>
                Erase for everyone
              </Button>
            ) : null}
          </div>
        )}
      </div>
      {adding ? <AddPeople chat={chat} onClose={() => setAdding(false)} /> : null}
      {verifying ? <VerifyDialog username={verifying} onClose={() => setVerifying(null)} /> : null}
    </Dialog>
  );
}
