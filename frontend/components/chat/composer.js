'use client';
/** Writing: Enter sends, Shift+Enter breaks the line; on touch Enter breaks and the button sends. Never while an input method composes. */
import { useEffect, useRef, useState } from 'react';
import { useMessageActions, useTyping } from '../../hooks/useMessages.js';
import { ALGORITHMS, errorWords } from '../../hooks/words.js';
import { Icon } from '../ui/icon.js';
import { Notice } from '../ui/notice.js';
import { Consent } from './consent.js';
import styles from './composer.module.css';

const DEFAULT_ALG = 'RSA-PSS-SHA256';

function isTouch() {
  return window.matchMedia('(pointer: coarse)').matches;
}

/** Grows the field with its text where CSS `field-sizing` cannot. @param {HTMLTextAreaElement} field */
function fit(field) {
  if (CSS.supports('field-sizing', 'content')) return;
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight}px`;
}

/** @param {{value: string, onChange: (alg: string) => void}} props */
function SignWith({ value, onChange }) {
  return (
    <select
      className={styles.alg}
      aria-label="Sign with"
      title="Sign with"
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {ALGORITHMS.map(({ id, label, legacy }) => (
        <option key={id} value={id}>
          {legacy && !/legacy/i.test(label) ? `${label} (legacy)` : label}
        </option>
      ))}
    </select>
  );
}

/** @param {{chat: import('../../lib/types.js').ChatView, memory: import('./messenger.js').ChatMemory}} props */
export function Composer({ chat, memory }) {
  const { send, markRead } = useMessageActions();
  const typing = useTyping(chat.id);
  const [text, setText] = useState(memory.get(chat.id)?.text ?? '');
  const [alg, setAlg] = useState(memory.get(chat.id)?.alg ?? DEFAULT_ALG);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));
  const field = useRef(/** @type {HTMLTextAreaElement|null} */ (null));

  useEffect(() => {
    memory.set(chat.id, { text, alg });
    if (field.current) fit(field.current);
  }, [memory, chat.id, text, alg]);

  useEffect(() => {
    if (!isTouch()) field.current?.focus();
    return () => typing(false);
  }, [typing]);

  async function sendNow() {
    const body = text.trim();
    if (!body) return;
    if (chat.needsConsent && !asked) {
      setAsked(true);
      return;
    }
    setText('');
    setProblem(null);
    setAsked(false);
    typing(false);
    field.current?.focus();
    try {
      // Who answers has read: told first, since an own message ends what is unread.
      if (chat.unread > 0) await markRead(chat.id).catch(() => undefined);
      await send(chat.id, { body }, alg);
    } catch (error) {
      setText((now) => now || body);
      if (error.code === 'consent_needed') setAsked(true);
      else setProblem(errorWords(error));
    }
  }

  /** @param {React.KeyboardEvent<HTMLTextAreaElement>} event */
  function onKeyDown(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing || isTouch()) return;
    event.preventDefault();
    void sendNow();
  }

  return (
    <div className={styles.area}>
      {chat.needsConsent ? (
        <Consent chat={chat} urgent={asked} onAccepted={() => (asked ? sendNow() : field.current?.focus())} />
      ) : null}
      {problem ? <Notice tone="danger">{problem}</Notice> : null}
      <form
        className={styles.composer}
        aria-label="Compose"
        onSubmit={(event) => {
          event.preventDefault();
          void sendNow();
        }}
      >
        <textarea
          ref={field}
          className={styles.field}
          aria-label={`Message to ${chat.title}`}
          placeholder="Write a message"
          rows={1}
          dir="auto"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            typing(event.target.value.trim() !== '');
          }}
          onBlur={() => typing(false)}
          onKeyDown={onKeyDown}
        />
        <SignWith value={alg} onChange={setAlg} />
        <button type="submit" className={styles.send} aria-label="Send" title="Send" disabled={!text.trim()}>
          <Icon name="send" />
        </button>
      </form>
    </div>
  );
}
