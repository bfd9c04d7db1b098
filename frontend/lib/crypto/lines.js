// A person's line of key bundles: which are theirs, which is current, and which continuity reaches from which
// (protocol §2, §4).
//
// Plain values over judged bundles, all synchronous: nothing is verified here again. A bundle whose step from the one
// before is missing or wrong is on the far side of a reset, and nothing older reaches it. Refuses nothing.

/**
 * @typedef {import('./bundle.js').Judged} Judged
 * @typedef {{version: number, hash: string, linked: boolean, bundle: Judged}} Link
 *   `linked`: continuity joins it to the one before
 * @typedef {object} Line
 * @property {string} username
 * @property {readonly Link[]} links oldest first
 * @property {boolean} sound the newest bundle passed every check
 * @typedef {(username: string) => Line | undefined} LineOf
 */

/** @param {string} username @param {readonly import('./bundle.js').Step[]} steps of walkBundles @returns {Line} */
export function lineOf(username, steps) {
  const links = steps.flatMap(({ version, bundle, continuous }) =>
    bundle ? [{ version, hash: bundle.hash, linked: continuous, bundle }] : [],
  );
  return { username, links, sound: Boolean(steps.at(-1)?.bundle) };
}

/** @param {Line} line @param {string} kh */
const placeOf = ({ links }, kh) => links.findIndex(({ hash }) => hash === kh);

/** The bundle with this hash, if it is theirs. @param {Line} line @param {string} kh @returns {Link | undefined} */
export const linkOf = (line, kh) => line.links[placeOf(line, kh)];

/** The version of the bundle with this hash, 0 if it is none of theirs. @param {Line} line @param {string} kh */
export const versionIn = (line, kh) => linkOf(line, kh)?.version ?? 0;

/** The bundle that is current; undefined where it must not be used. @param {Line} line @returns {Link | undefined} */
export const currentLink = ({ links, sound }) => (sound ? links.at(-1) : undefined);

/**
 * Whether unbroken continuity leads from one bundle to the other; each reaches itself.
 * @param {Line} line @param {string} old kh @param {string} now kh @returns {boolean}
 */
export function reaches(line, old, now) {
  const [low, high] = [placeOf(line, old), placeOf(line, now)];
  return low >= 0 && low <= high && line.links.slice(low + 1, high + 1).every(({ linked }) => linked);
}

/** Whether the current bundle is reached from this one: no reset since. @param {Line} line @param {string} kh */
export function confirmed(line, kh) {
  const current = currentLink(line);
  return current !== undefined && reaches(line, kh, current.hash);
}
