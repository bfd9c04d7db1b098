'use client';
/** A new password; and where the old one may be known to somebody, new keys and a new recovery code with it. */
import { useState } from 'react';
import { judgePassword } from '../../hooks/password.js';
import { useAction } from '../../hooks/useAction.js';
import { useSecurityActions } from '../../hooks/useSecurity.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';
import { NewPassword } from './new-password.js';
import { PasswordField } from './password-field.js';
import { Progress } from './progress.js';
import { RecoverySheet } from './recovery-sheet.js';
import styles from './security.module.css';

/** @param {{username: string, code: string|null, onClose: () => void}} props */
function Changed({ username, code, onClose }) {
  return (
    <div className={styles.view}>
      <Notice tone="info" icon="shield" title="Password changed">
        All other sessions were logged out.
      </Notice>
      {code ? (
        <>
          <p>
            This is your new recovery code. Write it down or print it: the old one opens nothing any more.
          </p>
          <RecoverySheet username={username} code={code} />
        </>
      ) : null}
      <Button kind="primary" wide onClick={onClose}>
        {code ? 'I have kept the code' : 'Done'}
      </Button>
    </div>
  );
}

/** @param {{username: string, urgent: boolean, onCode: () => void, onClose: () => void}} props  urgent: begin with "someone may
 * know"; onCode: a new recovery code is shown */
export function ChangePassword({ username, urgent, onCode, onClose }) {
  const { changePassword } = useSecurityActions();
  const { busy, problem, run } = useAction();
  const [password, setPassword] = useState('');
  const [newPassword, setNewPassword] = useState('');
  const [compromised, setCompromised] = useState(urgent);
  const [refused, setRefused] = useState(/** @type {string|null} */ (null));
  const [progress, setProgress] = useState(/** @type {import('../../lib/types.js').Progress|null} */ (null));
  const [changed, setChanged] = useState(/** @type {{recoveryCode: string|null}|null} */ (null));
  const waiting = busy !== '';
  if (changed) return <Changed username={username} code={changed.recoveryCode} onClose={onClose} />;

  /** @param {React.FormEvent} event */
  async function submit(event) {
    event.preventDefault();
    await run('change', async () => {
      const { problem: weak } = await judgePassword(newPassword, username);
      setRefused(weak);
      if (weak) return;
      const given = { password, newPassword, compromised };
      const result = await changePassword(given, { onProgress: setProgress });
      if (result.recoveryCode) onCode();
      setChanged(result);
    });
  }

  return (
    <form className={styles.view} method="post" noValidate onSubmit={submit}>
      <input type="text" name="username" autoComplete="username" defaultValue={username} hidden readOnly />
      <PasswordField value={password} onChange={setPassword} readOnly={waiting} />
      <NewPassword
        label="New password"
        value={newPassword}
        onChange={setNewPassword}
        username={username}
        error={refused ?? undefined}
        readOnly={waiting}
      />
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={compromised}
          disabled={waiting}
          onChange={(event) => setCompromised(event.target.checked)}
        />
        <span>
          <strong>Someone may know my password</strong>
          <span>
            Makes new keys and a new recovery code too, so that the old password opens nothing written from
            now on.
          </span>
        </span>
      </label>
      {problem ? <Notice tone="danger">{problem}</Notice> : null}
      {waiting ? <Progress progress={progress} /> : null}
      <Button kind="primary" type="submit" wide disabled={waiting || !password || !newPassword}>
        Change password
      </Button>
    </form>
  );
}
