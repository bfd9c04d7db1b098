'use client';
/** Logging in. The password is stretched here; the server only sees what is derived from it. */
import { useState } from 'react';
import { PATHS } from '../../config.js';
import { useAccount } from '../../hooks/useSession.js';
import { errorWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { AccountCard } from './card.js';
import { Gate } from './gate.js';
import { Progress } from './progress.js';
import styles from './account.module.css';

/** @typedef {import('../../lib/types.js').Progress} ProgressStep */

function LoginCard() {
  const { login } = useAccount();
  const [busy, setBusy] = useState(false);
  const [progress, setProgress] = useState(/** @type {ProgressStep|null} */ (null));
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));

  /** @param {React.FormEvent<HTMLFormElement>} event */
  async function submit(event) {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const username = String(data.get('username')).trim().toLowerCase();
    const password = String(data.get('password'));
    if (!username || !password) {
      setProblem('Enter your username and your password.');
      return;
    }
    setProblem(null);
    setBusy(true);
    try {
      await login({ username, password }, { onProgress: setProgress });
    } catch (error) {
      setProblem(errorWords(error));
      setBusy(false);
    }
  }

  const other = { question: 'New here?', href: PATHS.register, label: 'Create account' };
  const aside = { href: PATHS.recover, label: 'Forgot password?' };
  return (
    <AccountCard title="Welcome back" lead="Log in to read and write." other={other} aside={aside}>
      <form className={styles.form} method="post" noValidate onSubmit={submit}>
        <Field
          label="Username"
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          autoCorrect="off"
          spellCheck={false}
          readOnly={busy}
        />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          readOnly={busy}
        />
        {problem ? <Notice tone="danger">{problem}</Notice> : null}
        {busy ? <Progress progress={progress} /> : null}
        <Button kind="primary" type="submit" wide disabled={busy}>
          Log in
        </Button>
      </form>
    </AccountCard>
  );
}

export function LoginForm() {
  return (
    <Gate want="out">
      <LoginCard />
    </Gate>
  );
}
