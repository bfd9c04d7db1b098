'use client';
/**
 * Making a recovery code: shown once, typed back, and only then stored. It is stored with the password, since it is
 * another way into the key backup.
 */
import { useState } from 'react';
import { isSameCode } from '../../hooks/recovery.js';
import { useAction } from '../../hooks/useAction.js';
import { useSecurityActions } from '../../hooks/useSecurity.js';
import { Button } from '../ui/button.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { PasswordField } from './password-field.js';
import { RecoverySheet } from './recovery-sheet.js';
import styles from './security.module.css';

/** @param {{username: string, code: string, onStored: () => void, onLater: () => void}} props */
function TypeBack({ username, code, onStored, onLater }) {
  const { saveRecoveryCode } = useSecurityActions();
  const { busy, problem, run } = useAction();
  const [typed, setTyped] = useState('');
  const [password, setPassword] = useState('');
  const [wrong, setWrong] = useState(/** @type {string|null} */ (null));

  /** @param {React.FormEvent} event */
  async function submit(event) {
    event.preventDefault();
    const differs = !isSameCode(typed, code);
    setWrong(differs ? 'This is not the code above.' : null);
    if (differs) return;
    if (await run('store', () => saveRecoveryCode({ code, password }))) onStored();
  }

  return (
    <form className={styles.view} onSubmit={submit} noValidate>
      <p>
        Write this code down or print it: it is shown this once, and it opens your messages without your
        password.
      </p>
      <RecoverySheet username={username} code={code} />
      <Field
        label="Type the code"
        hint="From your note, to be sure that it is right."
        error={wrong}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        autoComplete="off"
        autoCapitalize="characters"
        spellCheck={false}
        readOnly={busy !== ''}
      />
      <PasswordField value={password} onChange={setPassword} readOnly={busy !== ''} />
      {problem ? <Notice tone="danger">{problem}</Notice> : null}
      {busy ? <p role="status">Storing it, and reading it back…</p> : null}
      <div className={styles.answers}>
        <Button onClick={onLater}>Later</Button>
        <Button kind="primary" type="submit" disabled={busy !== '' || !typed.trim() || !password}>
          Save code
        </Button>
      </div>
    </form>
  );
}

/** @param {{username: string, stored: boolean|null, onClose: () => void}} props  stored: there is one; null: not known yet */
export function RecoveryCode({ username, stored, onClose }) {
  const { newRecoveryCode } = useSecurityActions();
  const [code, setCode] = useState(/** @type {string|null} */ (null));
  const [done, setDone] = useState(false);
  if (done) {
    return (
      <div className={styles.view}>
        <Notice tone="info" icon="shield" title="Recovery code saved">
          With it and your username you can set a new password.
        </Notice>
        <Button kind="primary" wide onClick={onClose}>
          Done
        </Button>
      </div>
    );
  }
  if (code)
    return <TypeBack username={username} code={code} onStored={() => setDone(true)} onLater={onClose} />;
  return (
    <div className={styles.view}>
      <p>
        {stored
          ? 'You have a recovery code. A new one takes its place, and the old one then opens nothing.'
          : 'If you forget your password, only a recovery code opens your messages again: nobody else can, not even the server.'}
      </p>
      <Button kind="primary" wide onClick={() => setCode(newRecoveryCode())}>
        Make a recovery code
      </Button>
    </div>
  );
}
