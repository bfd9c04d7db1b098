'use client';
/** Asks before an own message is deleted, which cannot be taken back. Either way the focus goes back to the message. */
import { useEffect } from 'react';
import { useAction } from '../../hooks/useAction.js';
import { useMessageActions } from '../../hooks/useMessages.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Notice } from '../ui/notice.js';
import { preview } from './deed.js';
import { findArticle } from './message-keys.js';
import styles from './conversation.module.css';

/** @param {{chatId: string, item: import('../../lib/types.js').MessageItem, onClose: () => void}} props */
export function DeleteMessage({ chatId, item, onClose }) {
  const { deleteMessage } = useMessageActions();
  const { busy, problem, run } = useAction();
  const { id, from } = item;
  // Its toolbar, where this was asked for, is gone by then.
  useEffect(() => () => findArticle(id, from)?.focus(), [id, from]);

  async function erase() {
    if (await run('delete', () => deleteMessage(chatId, id))) onClose();
  }

  return (
    <Dialog title="Delete message" onClose={onClose}>
      <div className={styles.ask}>
        <p className={styles.preview} dir="auto">
          {preview(item.payload)}
        </p>
        <p>It disappears for all members, for good. Who has read it may have kept it.</p>
        {problem ? <Notice tone="danger">{problem}</Notice> : null}
        <div>
          <Button onClick={onClose}>Keep</Button>
          <Button kind="danger" disabled={busy !== ''} onClick={() => void erase()}>
            Delete
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
