'use client';
/** A new password with its strength in words and bars, judged while it is typed. */
import { useEffect, useState } from 'react';
import { judgePassword, preparePasswords } from '../../hooks/password.js';
import { Field } from '../ui/field.js';
import styles from './account.module.css';

const LEVELS = ['', 'Fair. 15 characters or more are better.', 'Good.', 'Strong.'];

/**
 * @param {{value: string, onChange: (value: string) => void, username: string, error?: string, readOnly: boolean,
 *   label?: string}} props
 */
export function NewPassword({ value, onChange, username, error, readOnly, label = 'Password' }) {
  const [judged, setJudged] = useState({ value: '', level: 0, words: '' });
  useEffect(() => {
    if (value.length < 8) return undefined;
    let stale = false;
    judgePassword(value, username.trim()).then(
      ({ level, problem }) => stale || setJudged({ value, level, words: problem ?? LEVELS[level] }),
      () => {
        // Without the list there is no judgement yet; submitting asks again and tells.
      },
    );
    return () => {
      stale = true;
    };
  }, [value, username]);

  const current = judged.value === value && value !== '';
  const hint = current ? (
    <span className={styles.strength}>
      <span className={styles.bars} data-level={judged.level} aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span role="status">{judged.words}</span>
    </span>
  ) : (
    'At least 8 characters. A few words in a row work well.'
  );
  return (
    <Field
      label={label}
      name="password"
      type="password"
      autoComplete="new-password"
      value={value}
      onFocus={preparePasswords}
      onChange={(event) => onChange(event.target.value)}
      hint={hint}
      error={error}
      readOnly={readOnly}
    />
  );
}
