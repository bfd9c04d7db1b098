/** One thing the user should know, in a sentence or two, with at most one thing to do about it. */
import { Icon } from './icon.js';
import styles from './notice.module.css';

/**
 * @param {{tone?: 'info'|'warning'|'danger', title?: string, children?: React.ReactNode, action?: React.ReactNode,
 *   icon?: import('./icon.js').IconName, label?: string, live?: boolean}} props  `live`: read out when it appears
 */
export function Notice({ tone = 'info', title, children, action, icon = 'alert', label, live = true }) {
  const role = live ? (tone === 'danger' ? 'alert' : 'status') : 'group';
  return (
    <div className={styles.notice} data-tone={tone} role={role} aria-label={label}>
      <Icon name={icon} />
      <div className={styles.text}>
        {title ? <strong>{title}</strong> : null}
        {children ? <p>{children}</p> : null}
      </div>
      {action}
    </div>
  );
}

/**
 * What stands where nothing is yet: one sentence, one button.
 * @param {{icon: import('./icon.js').IconName, children: React.ReactNode, action?: React.ReactNode, heading?: boolean}} props
 *   `heading`: nothing else heads the page
 */
export function Empty({ icon, children, action, heading = false }) {
  return (
    <div className={styles.empty}>
      <Icon name={icon} size="large" />
      {heading ? <h1>{children}</h1> : <p>{children}</p>}
      {action}
    </div>
  );
}
