const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];

/** From where on something is worth a word. Milliseconds and bytes. */
export const usualLimits = {
  /** One question over the network. */
  answerMs: 5_000,
  /** One layer in all; what takes longer is cut off and said so. */
  layerMs: 60_000,
  /** A write with its fsync and rename. */
  slowWriteMs: 500,
  freeBytes: 1024 ** 3,
  leastBytes: 64 * 1024 ** 2,
  /** Part of the inodes that should be free. */
  freeInodes: 0.02,
  clockMs: 30_000,
  certificateMs: 14 * day,
  unsettledMs: 15 * minute,
  runMs: 2 * hour,
  /** Changes in one document. */
  changes: 50_000,
  /** Above how much more than its interval a backup is late. */
  lateBackup: 1.5,
  /** A member that is not connected and was not seen for so long. */
  absentMs: 2 * day,
  /** How long the relays are asked again before a difference counts. */
  settleMs: 3_000,
};
export type Limits = typeof usualLimits;
