'use client';
/** Copies a text, and says that it did. Where the browser forbids it, it says that instead. */
import { useEffect, useState } from 'react';
import { Button } from './button.js';
import { Icon } from './icon.js';

/** How long the answer stands, ms. */
const SHOWN = 2500;

/** @param {{text: string, label: string}} props */
export function CopyButton({ text, label }) {
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(''), SHOWN);
    return () => clearTimeout(timer);
  }, [said]);

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setSaid('Copied');
    } catch {
      setSaid('Cannot copy here');
    }
  }

  return (
    <>
      <Button small onClick={() => void copy()}>
        <Icon name="copy" size="small" /> {said || label}
      </Button>
      <span className="sr" role="status">
        {said}
      </span>
    </>
  );
}
