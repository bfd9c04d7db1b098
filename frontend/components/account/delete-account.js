'use client';
/** The end of the account, after a yes and the password. */
import { useState } from 'react';
import { PATHS } from '../../config.js';
import { useAction } from '../../hooks/useAction.js';
import { useSecurityActions } from '../../hooks/useSecurity.js';
import { leavePage } from '../../hooks/useSession.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';
import { PasswordField } from './password-field.js';
import styles from './security.module.css';

/** @param {{username: string}} props */
export function DeleteAccount({ username }) {
  const { deleteAccount } = useSecurityActions();
  const { busy, problem, run } = useAction();
  const [password, setPassword] = useState('');
  const [sure, setSure] = useState(false);

  /** @param {React.FormEvent} event */
  async function submit(event) {
    event.preventDefault();
    if (await run('delete', () => deleteAccount({ password }))) leavePage(PATHS.login);
  }

  return (
    <form className={styles.view} method="post" noValidate onSubmit={submit}>
      <p>
        You leave all chats, and your keys and settings are erased. What you wrote stays with the others, and
        nobody can ever be @{username} again.
      </p>
      <label className={styles.check}>
        <input type="checkbox" checked={sure} onChange={(event) => setSure(event.target.checked)} />
        <span>
          <strong>I want to delete my account for good</strong>
        </span>
      </label>
      <PasswordField value={password} onChange={setPassword} readOnly={busy !== ''} />
      {problem ? <Notice tone="danger">{problem}</Notice> : null}
      <Button kind="danger" type="submit" wide disabled={busy !== '' || !sure || !password}>
        Delete account
      </Button>
    </form>
  );
}
