/** The page's icons: one stroke weight, drawn in the colour of the text. Always decoration: words stand beside them. */
import styles from './icon.module.css';

const PATHS = {
  back: 'M15 5l-7 7 7 7',
  plus: 'M12 5v14M5 12h14',
  close: 'M6 6l12 12M18 6L6 18',
  exit: 'M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 8l-4 4 4 4M6 12h10',
  send: 'M4 12l16-7-5 15-3.5-6.5L4 12zM11.5 13.5L20 5',
  key: 'M14.5 9.5m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0M11 12.7L4 19.5M6 17.5l2 2M8.5 15l1.5 1.5',
  down: 'M12 5v14M6 13l6 6 6-6',
  people:
    'M9 8m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0M3 19c.6-3 3-4.6 6-4.6s5.4 1.6 6 4.6M15.5 5.2a3.2 3.2 0 0 1 0 5.7M17.5 14.7c1.8.6 3.1 2 3.5 4.3',
  warning: 'M12 4L2.8 19.5h18.4L12 4zM12 10v4.5M12 17v.2',
  shield: 'M12 3l7.5 2.8v5.4c0 4.6-3 8-7.5 9.8-4.5-1.8-7.5-5.2-7.5-9.8V5.8L12 3z',
  broken: 'M12 3l7.5 2.8v5.4c0 4.6-3 8-7.5 9.8-4.5-1.8-7.5-5.2-7.5-9.8V5.8L12 3zM9 8.5l6 6M15 8.5l-6 6',
  clock: 'M12 12m-8.5 0a8.5 8.5 0 1 0 17 0a8.5 8.5 0 1 0-17 0M12 7v5l3 2',
  alert: 'M12 12m-8.5 0a8.5 8.5 0 1 0 17 0a8.5 8.5 0 1 0-17 0M12 7.5v5M12 16v.2',
  chat: 'M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-6l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z',
};

/** @typedef {keyof typeof PATHS} IconName */

/** @param {{name: IconName, size?: 'small'|'normal'|'large'}} props */
export function Icon({ name, size = 'normal' }) {
  return (
    <svg
      className={`${styles.icon} ${styles[size]}`}
      viewBox="0 0 24 24"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
