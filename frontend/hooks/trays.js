/**
 * The files that wait beside a chat's field, and their way to the server. Kept apart from what is on screen, so that an
 * upload goes on while another chat is read. Refuses to send anything after a cancel: what was chosen stays chosen.
 */

/**
 * @typedef {import('../lib/types.js').Attachment} Attachment
 * @typedef {Object} Piece
 * @property {number} key
 * @property {File} file
 * @property {number|null} done  share of it that is uploaded, 0 … 1; null before it starts
 * @property {Attachment|null} attachment  once it is uploaded
 *
 * @typedef {{pieces: readonly Piece[], uploading: boolean, problem: 'too_large'|'too_many'|null}} Tray  immutable;
 *   `problem`: why files that were chosen last are not among them
 * @typedef {(chat: string, file: File, options: {name: string, mime: string, signal: AbortSignal,
 *   onProgress: (progress: {done: number, of: number}) => void}) => Promise<Attachment>} Upload
 */

/** Files on one message (docs/protocol.md leaves it open; the library takes no more). */
export const MOST = 20;

/** The largest file, bytes: encrypted, in segments of 1 MiB with 16 bytes each, it has 100 MiB (docs/protocol.md §8). */
export const LARGEST = 100 * (1024 * 1024 - 16);

/** @type {Tray} */
const EMPTY = Object.freeze({ pieces: Object.freeze([]), uploading: false, problem: null });

/** @param {Upload} upload */
export function createTrays(upload) {
  /** @type {Map<string, Tray>} */
  const trays = new Map();
  /** @type {Map<string, AbortController>} */
  const controls = new Map();
  /** @type {Set<() => void>} */
  const listeners = new Set();
  let made = 0;

  /** @param {string} chat @param {Partial<Tray>} change */
  function set(chat, change) {
    trays.set(chat, Object.freeze({ ...get(chat), ...change }));
    for (const listener of listeners) listener();
  }

  /** @param {string} chat @param {number} key @param {Partial<Piece>} change */
  function setPiece(chat, key, change) {
    const pieces = get(chat).pieces.map((piece) => (piece.key === key ? { ...piece, ...change } : piece));
    set(chat, { pieces });
  }

  /** @param {string} chat @returns {Tray} */
  const get = (chat) => trays.get(chat) ?? EMPTY;

  return {
    get,
    /** @param {() => void} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    /** Takes files of at most `LARGEST` up to `MOST` of them, none while others are uploaded. @param {string} chat @param {readonly File[]} files */
    add(chat, files) {
      const { pieces, uploading } = get(chat);
      if (uploading) return;
      const fitting = files.filter(({ size }) => size <= LARGEST);
      const taken = fitting.slice(0, MOST - pieces.length);
      const added = taken.map((file) => ({ key: (made += 1), file, done: null, attachment: null }));
      const problem =
        fitting.length < files.length ? 'too_large' : taken.length < fitting.length ? 'too_many' : null;
      set(chat, { pieces: [...pieces, ...added], problem });
    },
    /** Takes a file away; while files are uploaded, that ends the sending. @param {string} chat @param {number} key */
    drop(chat, key) {
      controls.get(chat)?.abort();
      set(chat, { pieces: get(chat).pieces.filter((piece) => piece.key !== key), problem: null });
    },
    /** @param {string} chat */
    clear(chat) {
      trays.delete(chat);
      for (const listener of listeners) listener();
    },
    /**
     * Uploads what is not yet there, one after the other. @param {string} chat
     * @returns {Promise<Attachment[]|null>} in the order they were chosen; null if it was cancelled
     */
    async upload(chat) {
      const control = new AbortController();
      const { signal } = control;
      controls.set(chat, control);
      set(chat, { uploading: true, problem: null });
      try {
        const found = [];
        for (const { key, file, attachment } of get(chat).pieces) {
          const options = {
            name: file.name,
            mime: file.type || 'application/octet-stream',
            signal,
            onProgress: (/** @type {{done: number, of: number}} */ { done, of }) =>
              setPiece(chat, key, { done: of > 0 ? done / of : 1 }),
          };
          const made = attachment ?? (await upload(chat, file, options));
          setPiece(chat, key, { attachment: made, done: 1 });
          found.push(made);
        }
        return signal.aborted ? null : found;
      } catch (error) {
        const pieces = get(chat).pieces.map((piece) => (piece.attachment ? piece : { ...piece, done: null }));
        set(chat, { pieces });
        if (signal.aborted) return null;
        throw error;
      } finally {
        controls.delete(chat);
        set(chat, { uploading: false });
      }
    },
  };
}

/** @typedef {ReturnType<typeof createTrays>} Trays */
