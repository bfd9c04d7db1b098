'use client';
/** Making an account: name and password, then keys that never leave this browser unlocked. */
import { useState } from 'react';
import { PATHS } from '../../config.js';
import { judgePassword } from '../../hooks/password.js';
import { useAccount } from '../../hooks/useSession.js';
import { errorWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { AccountCard } from './card.js';
import { Gate } from './gate.js';
import { NewPassword } from './new-password.js';
import { Progress } from './progress.js';
import styles from './account.module.css';

/** docs/protocol.md §6; upper case is lowered before. */
const USERNAME = /^[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]$/;
const NAME_RULE = '3 to 32 characters: letters a–z, digits, dot, hyphen, underscore.';

/** @typedef {{username?: string, password?: string, form?: string}} Problems */

/** @param {string} username @param {string} password @returns {Promise<Problems>} */
async function judge(username, password) {
  /** @type {Problems} */
  const problems = {};
  if (!USERNAME.test(username)) problems.username = NAME_RULE;
  const { problem } = await judgePassword(password, username);
  if (problem) problems.password = problem;
  return problems;
}

/** @param {Error & {code?: string}} error @returns {Problems} */
function problemsOf(error) {
  return error.code === 'username_taken' ? { username: errorWords(error) } : { form: errorWords(error) };
}

function RegisterCard() {
  const { register } = useAccount();
  const [username, setUsername] = useState('');
  const [displayName, setDisplayName] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [progress, setProgress] = useState(/** @type {import('../../lib/types.js').Progress|null} */ (null));
  const [problems, setProblems] = useState(/** @type {Problems} */ ({}));

  /** @param {React.FormEvent<HTMLFormElement>} event */
  async function submit(event) {
    event.preventDefault();
    const account = { username: username.trim().toLowerCase(), displayName: displayName.trim(), password };
    account.displayName ||= account.username;
    setBusy(true);
    try {
      const found = await judge(account.username, password);
      setProblems(found);
      if (Object.keys(found).length === 0) return await register(account, { onProgress: setProgress });
    } catch (error) {
      setProblems(problemsOf(error));
    }
    return setBusy(false);
  }

  const other = { question: 'Have an account?', href: PATHS.login, label: 'Log in' };
  const lead = 'Your keys are made in this browser and locked with your password.';
  return (
    <AccountCard title="Create your account" lead={lead} other={other}>
      <form className={styles.form} method="post" noValidate onSubmit={submit}>
        <Field
          label="Username"
          name="username"
          value={username}
          onChange={(event) => setUsername(event.target.value)}
          hint="How others find you."
          error={problems.username}
          autoComplete="username"
          autoCapitalize="none"
          autoCorrect="off"
          spellCheck={false}
          readOnly={busy}
        />
        <Field
          label="Display name"
          name="display_name"
          value={displayName}
          onChange={(event) => setDisplayName(event.target.value)}
          hint="What others see, beside your username."
          autoComplete="name"
          maxLength={64}
          readOnly={busy}
        />
        <NewPassword
          value={password}
          onChange={setPassword}
          username={username}
          error={problems.password}
          readOnly={busy}
        />
        {problems.form ? <Notice tone="danger">{problems.form}</Notice> : null}
        {busy ? <Progress progress={progress} /> : null}
        <Button kind="primary" type="submit" wide disabled={busy}>
          Create account
        </Button>
      </form>
    </AccountCard>
  );
}

export function RegisterForm() {
  return (
    <Gate want="out">
      <RegisterCard />
    </Gate>
  );
}
