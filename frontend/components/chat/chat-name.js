'use client';
/** The chat's name in the members dialog, and for an owner the form that changes it. */
import { useRef, useState } from 'react';
import { Button } from '../ui/button.js';
import { Field } from '../ui/field.js';
import styles from './chat-details.module.css';

/**
 * @param {{chat: import('../../lib/types.js').ChatView, mayRename: boolean, busy: boolean,
 *   onRename: (name: string) => Promise<boolean>}} props  onRename: whether it went well
 */
export function ChatName({ chat, mayRename, busy, onRename }) {
  const [name, setName] = useState(/** @type {string|null} */ (null));
  /** The form was here: the focus goes back to what opened it, unless the user has gone on meanwhile. */
  const [back, setBack] = useState(false);
  const form = useRef(/** @type {HTMLFormElement|null} */ (null));
  const close = () => {
    const { activeElement: now } = document;
    setName(null);
    setBack(form.current?.contains(now) === true || now?.matches('button, input') !== true);
  };
  if (name === null) {
    return (
      <div className={styles.name}>
        <strong dir="auto">{chat.title}</strong>
        {mayRename ? (
          <Button small autoFocus={back} onClick={() => setName(chat.name ?? '')}>
            Rename
          </Button>
        ) : null}
      </div>
    );
  }
  const wanted = name.trim();
  return (
    <form
      ref={form}
      className={styles.rename}
      onSubmit={async (event) => {
        event.preventDefault();
        if (await onRename(wanted)) close();
      }}
    >
      <Field
        label="Chat name"
        maxLength={100}
        autoFocus
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <div className={styles.actions}>
        <Button
          small
          kind="primary"
          type="submit"
          disabled={busy || wanted === '' || wanted === (chat.name ?? '')}
        >
          Save name
        </Button>
        <Button small onClick={close}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
