'use client';
/** The dialog that starts a chat with chosen people, and says which kind of key it gets. */
import { useState } from 'react';
import { useAction } from '../../hooks/useAction.js';
import { useChatActions } from '../../hooks/useChats.js';
import { usePeople } from '../../hooks/usePeople.js';
import { useSession } from '../../hooks/useSession.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Field } from '../ui/field.js';
import { Icon } from '../ui/icon.js';
import { Notice } from '../ui/notice.js';
import { MODES } from './modes.js';
import { PeoplePicker } from './people-picker.js';
import styles from './new-chat.module.css';

/** @typedef {import('../../lib/types.js').User} User */

/** @param {{preselected: string[], onClose: () => void, onStarted: (id: string) => void}} props */
export function NewChat({ preselected, onClose, onStarted }) {
  const { user, account } = useSession();
  const people = usePeople();
  const { startChat } = useChatActions();
  const { busy, problem, run } = useAction();
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState(() => {
    const known = preselected.map((username) => people[username]).filter(Boolean);
    return new Map(
      known.map((person) => [person.username, /** @type {User} */ ({ ...person, hasKeys: true })]),
    );
  });
  const mode = account.keyMode ? MODES[account.keyMode] : null;

  /** @param {React.FormEvent} event */
  async function submit(event) {
    event.preventDefault();
    const usernames = [...chosen.keys()];
    const title = usernames.length > 1 ? name.trim() : '';
    await run('start', async () =>
      onStarted(await startChat(title ? { usernames, name: title } : { usernames })),
    );
  }

  return (
    <Dialog title="New chat" onClose={onClose}>
      <form className={styles.form} onSubmit={submit}>
        <PeoplePicker chosen={chosen} onChange={setChosen} without={[user?.username ?? '']} />
        <div className={styles.foot}>
          {chosen.size > 1 ? (
            <Field
              label="Chat name"
              placeholder="Optional"
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          ) : null}
          {mode ? (
            <p className={styles.mode}>
              <Icon name={mode.icon} size="small" /> {mode.words}. {mode.hint}
            </p>
          ) : null}
          {problem ? <Notice tone="danger">{problem}</Notice> : null}
          <Button kind="primary" type="submit" wide disabled={chosen.size === 0 || busy !== ''}>
            Start chat
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
