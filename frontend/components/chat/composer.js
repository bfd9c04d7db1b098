'use client';
/** Writing: Enter sends, Shift+Enter breaks the line; on touch Enter breaks and the button sends. Never while an input method composes. */
import { useEffect, useRef } from 'react';
import { useTyping } from '../../hooks/useMessages.js';
import { Icon } from '../ui/icon.js';
import { Notice } from '../ui/notice.js';
import { AttachButton } from './attach-button.js';
import { FileChips, TargetBar, trayWords } from './composer-bars.js';
import { Consent } from './consent.js';
import { useDraft } from './drafts.js';
import { SignWith } from './sign-with.js';
import { useSending } from './use-sending.js';
import styles from './composer.module.css';

function isTouch() {
  return window.matchMedia('(pointer: coarse)').matches;
}

/** Grows the field with its text where CSS `field-sizing` cannot. @param {HTMLTextAreaElement} field */
function fit(field) {
  if (CSS.supports('field-sizing', 'content')) return;
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight}px`;
}

/**
 * @param {{chat: import('../../lib/types.js').ChatView, memory: import('./messenger.js').ChatMemory, targetName: string,
 *   lastOwn: import('../../lib/types.js').MessageItem|null}} props
 *   targetName: of who wrote what is answered; lastOwn: what ↑ in the empty field edits
 */
export function Composer({ chat, memory, targetName, lastOwn }) {
  const { drafts, trays } = memory;
  const typing = useTyping(chat.id);
  const draft = useDraft(drafts, chat.id);
  const { sendNow, tray, asked, problem } = useSending(chat, memory);
  const field = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const fileInput = useRef(/** @type {HTMLInputElement|null} */ (null));
  const { target } = draft;
  const editing = target?.kind === 'edit';
  const text = editing ? draft.edit : draft.text;
  const body = text.trim();
  const ready = (body !== '' || (!editing && tray.pieces.length > 0)) && !tray.uploading;
  const endTarget = () => drafts.aim(chat.id, null);

  useEffect(() => {
    if (field.current) fit(field.current);
  }, [text]);

  useEffect(() => {
    if (!isTouch() || target) field.current?.focus();
  }, [target]);
  useEffect(() => () => typing(false), [typing]);

  function submit() {
    if (!ready) return;
    typing(false);
    field.current?.focus();
    if (editing && body === target.item.payload?.body) endTarget();
    else void sendNow(body);
  }

  /** @param {File[]} files */
  function take(files) {
    if (files.length === 0 || editing || tray.uploading) return;
    trays.add(chat.id, files);
  }

  /** @param {React.KeyboardEvent<HTMLTextAreaElement>} event */
  function onKeyDown(event) {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey && !isTouch()) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && target) {
      event.preventDefault();
      endTarget();
    } else if (event.key === 'ArrowUp' && text === '' && !target && lastOwn) {
      event.preventDefault();
      drafts.aim(chat.id, { kind: 'edit', item: lastOwn });
    } else if (event.key.toLowerCase() === 'u' && (event.ctrlKey || event.metaKey) && !event.shiftKey) {
      event.preventDefault();
      if (!editing && !tray.uploading) fileInput.current?.click();
    }
  }

  return (
    <div className={styles.area}>
      {chat.needsConsent ? (
        <Consent chat={chat} urgent={asked} onAccepted={() => (asked ? submit() : field.current?.focus())} />
      ) : null}
      {problem ? <Notice tone="danger">{problem}</Notice> : null}
      {target ? <TargetBar target={target} name={targetName} onClose={endTarget} /> : null}
      {tray.problem ? <Notice tone="warning">{trayWords(tray.problem)}</Notice> : null}
      {editing ? null : (
        <FileChips
          tray={tray}
          onDrop={(key) => {
            trays.drop(chat.id, key);
            if (!isTouch()) field.current?.focus();
          }}
        />
      )}
      <form
        className={styles.composer}
        aria-label="Compose"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <AttachButton disabled={editing || tray.uploading} onFiles={take} inputRef={fileInput} />
        <textarea
          ref={field}
          className={styles.field}
          aria-label={`Message to ${chat.title}`}
          placeholder="Write a message"
          rows={1}
          dir="auto"
          value={text}
          readOnly={tray.uploading}
          onChange={(event) => {
            drafts.set(chat.id, { [editing ? 'edit' : 'text']: event.target.value });
            typing(event.target.value.trim() !== '');
          }}
          onBlur={() => typing(false)}
          onKeyDown={onKeyDown}
          onPaste={(event) => {
            const files = [...event.clipboardData.files];
            if (files.length > 0) event.preventDefault();
            take(files);
          }}
        />
        <SignWith value={draft.alg} onChange={(alg) => drafts.set(chat.id, { alg })} />
        <button
          type="submit"
          className={styles.send}
          aria-label={editing ? 'Save' : 'Send'}
          title={editing ? 'Save' : 'Send'}
          disabled={!ready}
        >
          <Icon name="send" />
        </button>
      </form>
    </div>
  );
}
