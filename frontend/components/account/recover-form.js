'use client';
/** Back in with the recovery code: a new password, and a new code, since a used one is good for nothing more. */
import { useState } from 'react';
import { PATHS } from '../../config.js';
import { judgePassword } from '../../hooks/password.js';
import { looksLikeCode } from '../../hooks/recovery.js';
import { useSecurityActions } from '../../hooks/useSecurity.js';
import { errorWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { AccountCard } from './card.js';
import { Gate } from './gate.js';
import { NewPassword } from './new-password.js';
import { Progress } from './progress.js';
import { RecoverySheet } from './recovery-sheet.js';
import styles from './account.module.css';

/** @typedef {{code?: string, password?: string, form?: string}} Problems */

/** @param {string} username @param {string} code @param {string} password @returns {Promise<Problems>} */
async function judge(username, code, password) {
  /** @type {Problems} */
  const problems = {};
  if (!username) problems.form = 'Enter your username.';
  if (!looksLikeCode(code)) problems.code = 'A recovery code has 32 letters and digits.';
  const { problem } = await judgePassword(password, username);
  if (problem) problems.password = problem;
  return problems;
}

/** @param {{onBusy: (busy: boolean) => void, onDone: (done: {username: string, code: string}) => void}} props */
function RecoverCard({ onBusy, onDone }) {
  const { recover } = useSecurityActions();
  const [username, setUsername] = useState('');
  const [code, setCode] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [progress, setProgress] = useState(/** @type {import('../../lib/types.js').Progress|null} */ (null));
  const [problems, setProblems] = useState(/** @type {Problems} */ ({}));

  /** @param {React.FormEvent} event */
  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    const name = username.trim().toLowerCase();
    try {
      const found = await judge(name, code, password);
      setProblems(found);
      if (Object.keys(found).length === 0) {
        onBusy(true);
        const given = { username: name, code, newPassword: password };
        const { recoveryCode } = await recover(given, { onProgress: setProgress });
        return onDone({ username: name, code: recoveryCode });
      }
    } catch (error) {
      onBusy(false);
      setProblems({ form: errorWords(error) });
    }
    return setBusy(false);
  }

  const other = { question: 'Remember it?', href: PATHS.login, label: 'Log in' };
  const lead = 'Your recovery code opens your messages and lets you set a new password.';
  return (
    <AccountCard title="Forgot password" lead={lead} other={other}>
      <form className={styles.form} method="post" noValidate onSubmit={submit}>
        <Field
          label="Username"
          name="username"
          value={username}
          onChange={(event) => setUsername(event.target.value)}
          autoComplete="username"
          autoCapitalize="none"
          autoCorrect="off"
          spellCheck={false}
          readOnly={busy}
        />
        <Field
          label="Recovery code"
          name="recovery_code"
          value={code}
          onChange={(event) => setCode(event.target.value)}
          error={problems.code}
          hint="Blanks, hyphens and upper or lower case do not matter."
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          readOnly={busy}
        />
        <NewPassword
          label="New password"
          value={password}
          onChange={setPassword}
          username={username}
          error={problems.password}
          readOnly={busy}
        />
        {problems.form ? <Notice tone="danger">{problems.form}</Notice> : null}
        {busy ? <Progress progress={progress} /> : null}
        <Button kind="primary" type="submit" wide disabled={busy}>
          Set new password
        </Button>
      </form>
    </AccountCard>
  );
}

/** @param {{username: string, code: string, onKept: () => void}} props */
function NewCode({ username, code, onKept }) {
  const lead =
    'The one you used opens nothing any more. Write this one down or print it: it is shown this once.';
  return (
    <AccountCard title="Your new recovery code" lead={lead}>
      <div className={styles.form}>
        <RecoverySheet username={username} code={code} />
        <Button kind="primary" wide onClick={onKept}>
          I have kept the code
        </Button>
      </div>
    </AccountCard>
  );
}

export function RecoverForm() {
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(/** @type {{username: string, code: string}|null} */ (null));
  if (done) return <NewCode {...done} onKept={() => window.location.replace(PATHS.chat)} />;
  return (
    <Gate want="out" stay={busy}>
      <RecoverCard onBusy={setBusy} onDone={setDone} />
    </Gate>
  );
}
