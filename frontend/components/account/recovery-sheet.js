'use client';
/** A recovery code, shown once: to be copied, printed, or saved as a text file. */
import { Button } from '../ui/button.js';
import { CopyButton } from '../ui/copy-button.js';
import { Icon } from '../ui/icon.js';
import { saveText } from '../ui/save.js';
import styles from './security.module.css';

/** @param {string} username @param {string} code */
function sheetText(username, code) {
  return `Chat-Sec recovery code\n\nServer: ${window.location.host}\nUsername: ${username}\nCode: ${code}\n\nIt opens your messages if you forget your password. Keep it where nobody else finds it.\n`;
}

/** @param {{username: string, code: string}} props */
export function RecoverySheet({ username, code }) {
  const groups = code.split('-');
  return (
    <>
      <div className={styles.sheet} data-print>
        <p className={styles.sheetHead}>
          Chat-Sec recovery code of @{username} at {window.location.host}
        </p>
        <p className={styles.code} role="group" aria-label="Recovery code" translate="no">
          {groups.map((group, i) => (
            <span key={i}>{i < groups.length - 1 ? `${group}-` : group}</span>
          ))}
        </p>
      </div>
      <div className={styles.actions}>
        <CopyButton text={code} label="Copy" />
        <Button small onClick={() => window.print()}>
          <Icon name="print" size="small" /> Print
        </Button>
        <Button
          small
          onClick={() => saveText(`chatsec-recovery-code-${username}.txt`, sheetText(username, code))}
        >
          <Icon name="download" size="small" /> Save as file
        </Button>
      </div>
    </>
  );
}
