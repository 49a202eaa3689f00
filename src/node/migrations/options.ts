/** When the documents of a node are migrated (docs/decisions/0015). */
export interface MigrationOptions {
  /**
   * By themselves, as soon as every member knows the schema and nobody holds it. Default true; false: only when asked.
   */
  auto?: boolean;
  /** How often the node looks, milliseconds on average. Default 30 s. */
  everyMs?: number;
  /** How long the next in rank leaves it to the one before it, milliseconds. Default 60 s. */
  patienceMs?: number;
}

export const DEFAULT_MIGRATIONS: Required<MigrationOptions> = {
  auto: true,
  everyMs: 30_000,
  patienceMs: 60_000,
};
