'use client';
/** Comparing safety numbers with a person: a code to scan, the 60 digits to read to one another, and the two answers. */
import { useEffect, useState } from 'react';
import { useAction } from '../../hooks/useAction.js';
import { usePeople, usePeopleActions } from '../../hooks/usePeople.js';
import { errorWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { CopyButton } from '../ui/copy-button.js';
import { Dialog } from '../ui/dialog.js';
import { Notice } from '../ui/notice.js';
import { QrCode } from './qr-code.js';
import { rowsOfDigits } from './safety.js';
import { VerifiedMark } from './verified-mark.js';
import styles from './security.module.css';

/** @typedef {{digits: string, qr: string}} SafetyNumber */

/** The number of the user and `username`, as their keys are now. @param {string} username */
function useSafetyNumber(username) {
  const { safetyNumber } = usePeopleActions();
  const [number, setNumber] = useState(/** @type {SafetyNumber|null} */ (null));
  const [failure, setFailure] = useState(/** @type {string|null} */ (null));
  useEffect(() => {
    let stale = false;
    safetyNumber(username).then(
      (found) => stale || setNumber(found),
      (error) => stale || setFailure(errorWords(error)),
    );
    return () => {
      stale = true;
    };
  }, [username, safetyNumber]);
  return { number, failure };
}

/** @param {{digits: string}} props */
function Digits({ digits }) {
  return (
    <div className={styles.digits} role="group" aria-label="Safety number">
      {rowsOfDigits(digits).map((row, i) => (
        <p key={i}>
          {row.map((group, j) => (
            <span key={j}>{group} </span>
          ))}
        </p>
      ))}
    </div>
  );
}

/** @param {{name: string}} props */
function Mismatch({ name }) {
  return (
    <Notice tone="danger" icon="warning" title={`${name} stays unverified`}>
      One of you was shown keys that are not the other{"'"}s. Compare once more in person or by phone; if the
      numbers still differ, write nothing secret here and tell whoever runs this server.
    </Notice>
  );
}

/** @param {{username: string, onClose: () => void}} props */
export function VerifyDialog({ username, onClose }) {
  const person = usePeople()[username];
  const { setVerified } = usePeopleActions();
  const { busy, problem, run } = useAction();
  const { number, failure } = useSafetyNumber(username);
  const [differs, setDiffers] = useState(false);
  const name = person?.displayName ?? username;
  const verified = person?.verified === true;

  async function match() {
    setDiffers(false);
    if (await run('match', () => setVerified(username, true))) onClose();
  }

  async function mismatch() {
    if (!verified || (await run('mismatch', () => setVerified(username, false)))) setDiffers(true);
  }

  return (
    <Dialog title={`Verify ${name}`} onClose={onClose}>
      <div className={styles.verify}>
        <p>
          {name} (@{username}) sees the same digits under your name; the QR code holds them too. Read them to
          each other, in person or by phone: only if all of them match does nobody stand between you.
        </p>
        {verified ? (
          <p className={styles.already}>
            <VerifiedMark verified /> You have verified {name}.
          </p>
        ) : null}
        {number ? (
          <>
            <QrCode text={number.qr} label="QR code of the safety number" />
            <Digits digits={number.digits} />
            <CopyButton text={number.digits} label="Copy digits" />
          </>
        ) : failure ? null : (
          <p role="status" className={styles.wait}>
            Working out the numbers…
          </p>
        )}
      </div>
      <div className={styles.foot}>
        {(failure ?? problem) ? <Notice tone="danger">{failure ?? problem}</Notice> : null}
        {differs ? <Mismatch name={name} /> : null}
        <div className={styles.answers}>
          <Button disabled={!number || busy !== ''} onClick={() => void mismatch()}>
            They don{"'"}t match
          </Button>
          <Button kind="primary" disabled={!number || busy !== ''} onClick={() => void match()}>
            They match
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
