'use client';
/** What can be done with one message: a toolbar with one tab stop, arrow keys inside; reactions take its place when chosen. */
import { useRef, useState } from 'react';
import { Icon } from '../ui/icon.js';
import { REACTIONS } from './emoji.js';
import styles from './reactions.module.css';

/** @typedef {'reply'|'react'|'edit'|'delete'} Deed */

const KEYS = { ArrowRight: 1, ArrowLeft: -1 };

/** @type {{deed: Deed, label: string, icon: import('../ui/icon.js').IconName, own: boolean}[]} */
const DEEDS = [
  { deed: 'reply', label: 'Reply', icon: 'reply', own: false },
  { deed: 'react', label: 'React', icon: 'smile', own: false },
  { deed: 'edit', label: 'Edit', icon: 'pencil', own: true },
  { deed: 'delete', label: 'Delete', icon: 'trash', own: true },
];

/** Arrow keys move between the buttons of a toolbar. @param {React.KeyboardEvent<HTMLElement>} event */
function moveFocus(event) {
  const step = Object.hasOwn(KEYS, event.key) ? KEYS[/** @type {keyof typeof KEYS} */ (event.key)] : 0;
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  const buttons = [...event.currentTarget.querySelectorAll('button')];
  const at = buttons.findIndex((button) => button === document.activeElement);
  buttons[(at + step + buttons.length) % buttons.length]?.focus();
}

/**
 * @param {{mine: boolean, reactions: Record<string, string[]>, me: string, onDeed: (deed: Deed) => void,
 *   onReact: (emoji: string, on: boolean) => void}} props
 */
export function MessageActions({ mine, reactions, me, onDeed, onReact }) {
  const [choosing, setChoosing] = useState(false);
  const bar = useRef(/** @type {HTMLDivElement|null} */ (null));

  /** @param {boolean} open */
  function choose(open) {
    const inside = bar.current?.contains(document.activeElement);
    setChoosing(open);
    if (inside) requestAnimationFrame(() => bar.current?.querySelector('button')?.focus());
  }

  return (
    <div
      ref={bar}
      className={styles.bar}
      data-mine={mine}
      role="toolbar"
      aria-label={choosing ? 'Reactions to choose from' : 'Message actions'}
      onKeyDown={(event) => {
        moveFocus(event);
        if (event.key !== 'Escape' || !choosing) return;
        event.stopPropagation();
        choose(false);
      }}
    >
      {choosing
        ? REACTIONS.map(([emoji, name], i) => {
            const own = reactions[emoji]?.includes(me) ?? false;
            return (
              <button
                key={emoji}
                type="button"
                tabIndex={i === 0 ? 0 : -1}
                aria-label={name}
                title={name}
                aria-pressed={own}
                onClick={() => {
                  choose(false);
                  onReact(emoji, !own);
                }}
              >
                <span>{emoji}</span>
              </button>
            );
          })
        : DEEDS.filter(({ own }) => mine || !own).map(({ deed, label, icon }, i) => (
            <button
              key={deed}
              type="button"
              tabIndex={i === 0 ? 0 : -1}
              aria-label={label}
              title={label}
              onClick={() => (deed === 'react' ? choose(true) : onDeed(deed))}
            >
              <Icon name={icon} />
            </button>
          ))}
    </div>
  );
}
