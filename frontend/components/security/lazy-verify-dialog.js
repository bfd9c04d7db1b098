'use client';
/** `VerifyDialog`, fetched when somebody first compares safety numbers: it brings what draws QR codes. */
import dynamic from 'next/dynamic';

export const VerifyDialog = dynamic(
  () => import('./verify-dialog.js').then((module) => module.VerifyDialog),
  {
    ssr: false,
  },
);
