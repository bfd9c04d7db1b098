'use client';
/** The dialog that adds people to a chat. They read from then on, nothing that was written before. */
import { useState } from 'react';
import { useAction } from '../../hooks/useAction.js';
import { useChatActions } from '../../hooks/useChats.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Notice } from '../ui/notice.js';
import { PeoplePicker } from './people-picker.js';
import styles from './new-chat.module.css';

/** @typedef {import('../../lib/types.js').User} User */

/** @param {{chat: import('../../lib/types.js').ChatView, onClose: () => void}} props */
export function AddPeople({ chat, onClose }) {
  const { changeChat } = useChatActions();
  const { busy, problem, run } = useAction();
  const [chosen, setChosen] = useState(/** @returns {Map<string, User>} */ () => new Map());

  /** @param {React.FormEvent} event */
  async function submit(event) {
    event.preventDefault();
    const usernames = [...chosen.keys()];
    if (await run('add', () => changeChat(chat.id, { kind: 'add', usernames }))) onClose();
  }

  return (
    <Dialog title="Add people" onClose={onClose}>
      <form className={styles.form} onSubmit={submit}>
        <PeoplePicker
          chosen={chosen}
          onChange={setChosen}
          without={chat.members.map(({ username }) => username)}
        />
        <div className={styles.foot}>
          <p className={styles.mode}>They read what is written from now on, and nothing from before.</p>
          {problem ? <Notice tone="danger">{problem}</Notice> : null}
          <Button kind="primary" type="submit" wide disabled={chosen.size === 0 || busy !== ''}>
            Add
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
