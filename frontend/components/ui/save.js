/** Lets the browser save something as a file. */

/** @param {string} url @param {string} name */
export function saveUrl(url, name) {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

/** @param {string} name @param {string} text */
export function saveText(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  saveUrl(url, name);
  // The browser has taken it over by then; without this the text would stay in memory as long as the page.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
