import type { Metrics } from '../telemetry/metrics.js';
import type { Bot } from './bot.js';

/** What a replica's bot counts, beside its node. */
export function showBot(metrics: Metrics, bot: Bot): void {
  metrics.gauge('taking_part', 'Whether this replica takes part: 1 or 0. /readyz says why not.', () =>
    bot.readiness().length === 0 ? 1 : 0,
  );
  metrics.gauge('pending_sources', 'Prompts and commands that are not settled yet.', () =>
    bot.engine.unsettled(),
  );
  metrics.gauge(
    'oldest_pending_seconds',
    'For how long this replica has known the oldest prompt or command that is not settled; 0 when all are.',
    () => bot.engine.oldestUnsettledMs() / 1000,
  );
  metrics.gauge(
    'begun_sources',
    'Prompts and commands this replica is at work on.',
    () => bot.engine.begun().length,
  );
  metrics.gauge('peers_alive', 'Other replicas that beat within the lease.', () => bot.status().alive.length);
  metrics.gauge('encrypted_rooms', 'Rooms this bot was written to in and cannot read.', () =>
    bot.encryptedRooms(),
  );
  metrics.gauge(
    'staged_attachments',
    "Files in memory that wait for their sender's next prompt.",
    () => bot.staged().items,
  );
  metrics.gauge(
    'staged_attachment_bytes',
    'Size of the files that wait for a prompt, as their senders say; the bytes are at the homeserver.',
    () => bot.staged().bytes,
  );
  metrics.gauge('tasks', 'Agent runs by status.', () => ({ ...bot.tasks.summary().counts }), 'status');
  metrics.gauge(
    'homeserver_lag_seconds',
    'Since the last answer of the homeserver.',
    () => bot.status().homeserverAgoMs / 1000,
  );
  metrics.gauge(
    'send_held_seconds',
    'For how long sends are still held back, because the homeserver asked for it.',
    () => bot.budget.held() / 1000,
  );
  metrics.counter(
    'send_holds_total',
    'Times that the homeserver held the sends of the account back (429), met here or heard of from a peer.',
    () => bot.budget.counts.holds,
  );
  metrics.counter(
    'send_waited_seconds_total',
    'For how long sends of this replica waited for such holds, all together.',
    () => bot.budget.counts.waitedMs / 1000,
  );
  metrics.counter(
    'stream_edits_left_out_total',
    'Placeholders and stream edits that were due and gave way, because sends were held back.',
    () => bot.budget.counts.leftOut,
  );
  metrics.gauge('streams', 'Answers that this replica shows while they come.', () => bot.streams.ofOurs());
}
