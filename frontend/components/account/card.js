/** The frame of the pages for who is not logged in, and the ways from one to another. */
import { useState } from 'react';
import Link from 'next/link';
import { Brand } from '../ui/brand.js';
import { Splash } from '../ui/splash.js';
import styles from './account.module.css';

/**
 * @param {{title: string, lead: string, children: React.ReactNode,
 *   other?: {question: string, href: string, label: string}, aside?: {href: string, label: string}}} props
 *   other, aside: links to other pages, below the card and in it
 */
export function AccountCard({ title, lead, children, other, aside }) {
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
          {aside ? (
            <p className={styles.aside}>
              <Link href={aside.href} prefetch={false} onNavigate={() => setLeaving(true)}>
                {aside.label}
              </Link>
            </p>
          ) : null}
        </div>
        {other ? (
          <p className={styles.foot}>
            {other.question}{' '}
            <Link href={other.href} prefetch={false} onNavigate={() => setLeaving(true)}>
              {other.label}
            </Link>
          </p>
        ) : null}
      </main>
    </div>
  );
}
