'use client';
/** `AccountDialog`, fetched when somebody opens it. */
import dynamic from 'next/dynamic';

export const AccountDialog = dynamic(
  () => import('./account-dialog.js').then((module) => module.AccountDialog),
  {
    ssr: false,
  },
);
