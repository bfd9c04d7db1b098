/** The small set of reactions that are offered, each with its name; others' reactions may be anything. */

/** @type {readonly (readonly [emoji: string, name: string])[]} */
export const REACTIONS = [
  ['👍', 'Thumbs up'],
  ['❤️', 'Heart'],
  ['😂', 'Laughing'],
  ['😮', 'Surprised'],
  ['😢', 'Sad'],
  ['🎉', 'Party'],
];

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Is it one sign, as a reaction should be? What a sender put there instead is shown, cut short, and cannot be repeated. @param {string} text */
export function isEmoji(text) {
  const [first, second] = graphemes.segment(text);
  return first !== undefined && second === undefined && text.length <= 32;
}

/** @param {string} emoji */
export function emojiName(emoji) {
  return REACTIONS.find(([each]) => each === emoji)?.[1] ?? emoji;
}
