/** A person's or a chat's initials on a colour that follows from the username, with a presence dot where one is given. */
import styles from './avatar.module.css';

const HUES = 8;

/** @param {string} text */
function hueOf(text) {
  let sum = 0;
  for (const char of text) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return sum % HUES;
}

/** @param {string} name */
function initialsOf(name) {
  const words = name
    .trim()
    .split(/[\s,._-]+/u)
    .filter(Boolean);
  const letters = words.slice(0, 2).map((word) => [...word][0]);
  return letters.join('').toUpperCase() || '?';
}

/** @param {{name: string, seed: string, size?: 'small'|'normal'|'large', status?: string}} props */
export function Avatar({ name, seed, size = 'normal', status }) {
  return (
    <span className={`${styles.avatar} ${styles[size]}`} data-hue={hueOf(seed)} aria-hidden="true">
      {initialsOf(name)}
      {status ? <span className={styles.dot} data-status={status} /> : null}
    </span>
  );
}
