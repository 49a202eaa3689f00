/** Control characters in a foreign text could move the cursor or rename the window: only line ends and tabs stay. */
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export const printable = (text: string): string => text.replace(unsafe, '');
