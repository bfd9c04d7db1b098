/**
 * What ties a private key that is kept encrypted on this device to its kid; apart, so that the page's own thread does not
 * load the worker's code for it.
 */

import { encodeText } from './crypto/index.js';

/** AAD that ties a wrapped private key to its kid. @param {string} kid */
export const keyAad = (kid) => encodeText(`chatsec/local-key/v1\n${kid}`);
