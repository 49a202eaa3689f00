/** What a replica counts about its relays. */
export const linkCounts = [
  'opened',
  'lost',
  'failed',
  'malformed',
  'tooBig',
  'channelSent',
  'channelDropped',
  'channelReceived',
  'channelDuplicates',
  'channelRefused',
  'channelHandlerFailures',
] as const;

export type LinkCount = (typeof linkCounts)[number];
