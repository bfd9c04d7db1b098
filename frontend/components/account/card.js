/** The frame of the log-in and the register page. */
import { Brand } from '../ui/brand.js';
import styles from './account.module.css';

/** @param {{title: string, lead: string, children: React.ReactNode, foot: React.ReactNode}} props */
export function AccountCard({ title, lead, children, foot }) {
  return (
    <div className={styles.page}>
      <main className={styles.column}>
        <Brand size="large" />
        <div className={styles.card}>
          <h1>{title}</h1>
          <p className={styles.lead}>{lead}</p>
          {children}
        </div>
        <p className={styles.foot}>{foot}</p>
      </main>
    </div>
  );
}
