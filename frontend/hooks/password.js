/**
 * Judges a new password in the page, since the server never sees it (docs/protocol.md §3): length, the user's own
 * names, and a list of common passwords that is loaded when first needed. No composition rules.
 */
const MIN = 8;
const MAX = 1024;
/** Length from which a password that is not common counts as strong. */
const ADVISED = 15;

/** @type {Promise<Set<string>>|undefined} */
let common;

/** @returns {Promise<Set<string>>} lower-case; a failed load is tried again at the next call */
function commonPasswords() {
  common ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common']),
    (error) => {
      common = undefined;
      throw error;
    },
  );
  return common;
}

/** Starts the download of the list. */
export function preparePasswords() {
  commonPasswords().catch(() => {
    // judgePassword tries again and tells.
  });
}

/**
 * @param {string} password @param {string} username
 * @returns {Promise<{level: 0|1|2|3, problem: string|null}>} level 0 is refused, with the reason in `problem`
 * @throws when the list cannot be loaded
 */
export async function judgePassword(password, username) {
  const length = [...password].length;
  const plain = password.normalize('NFKC').toLowerCase();
  if (length < MIN) return { level: 0, problem: `Use at least ${MIN} characters.` };
  if (length > MAX) return { level: 0, problem: `Use at most ${MAX} characters.` };
  if (plain === username.toLowerCase())
    return { level: 0, problem: 'Use something other than your username.' };
  if (new Set(plain).size < 3) return { level: 0, problem: 'Use more than two different characters.' };
  if ((await commonPasswords()).has(plain)) {
    return { level: 0, problem: 'This is one of the most common passwords. Choose another.' };
  }
  if (length >= ADVISED) return { level: 3, problem: null };
  return { level: length >= 12 ? 2 : 1, problem: null };
}
