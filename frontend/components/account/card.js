/** The frame of the log-in and the register page, and the way from one to the other. */
import { useState } from 'react';
import Link from 'next/link';
import { Brand } from '../ui/brand.js';
import { Splash } from '../ui/splash.js';
import styles from './account.module.css';

/**
 * @param {{title: string, lead: string, children: React.ReactNode,
 *   other: {question: string, href: string, label: string}}} props
 */
export function AccountCard({ title, lead, children, other }) {
  // Gone at once: what is typed while the other page is on its way would be lost in this one's fields.
  const [leaving, setLeaving] = useState(false);
  if (leaving) return <Splash />;
  return (
    <div className={styles.page}>
      <main className={styles.column}>
        <Brand size="large" />
        <div className={styles.card}>
          <h1>{title}</h1>
          <p className={styles.lead}>{lead}</p>
          {children}
        </div>
        <p className={styles.foot}>
          {other.question}{' '}
          <Link href={other.href} prefetch={false} onNavigate={() => setLeaving(true)}>
            {other.label}
          </Link>
        </p>
      </main>
    </div>
  );
}
