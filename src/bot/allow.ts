/** Who may talk to the bot: mxids, with `*` for any run of characters. An empty or absent list allows everyone. */
export function allowList(patterns: readonly string[] | undefined): (mxid: string) => boolean {
  if (patterns === undefined || patterns.length === 0) return () => true;
  const matchers = patterns.map((pattern) => {
    const source = pattern
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*');
    return new RegExp(`^${source}$`, 'i');
  });
  return (mxid) => matchers.some((matcher) => matcher.test(mxid));
}
