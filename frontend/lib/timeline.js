/**
 * The receiving side of a chat (protocol §4, §5), in three pure steps: `examine` finds out what is true of one item
 * (all that needs keys), `reduce` judges items in gapless order of seq and names what is wrong, `project` makes of the
 * verdicts what a person sees. A partial page is judged by itself; when the page before it arrives everything is
 * judged again from the new beginning, so that no order of loading changes a verdict for good.
 */

export { headBefore } from './timeline/combined.js';
export { project } from './timeline/content.js';
export { examine, examineShare, missing } from './timeline/examine.js';
export { begin, reduce } from './timeline/reduce.js';
