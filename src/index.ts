export { openNode } from './node/open-node.js';
export type { OpenNodeOptions } from './node/options.js';
export type { DocumentHeads, StateNode } from './node/state-node.js';
export type { Provenance, RecordView } from './node/record-view.js';
export type { NodeStatus } from './node/status.js';
export type { DocumentRecovered, NodeEvent } from './node/node-events.js';
export type { NodeCounters } from './node/counters.js';
export type { BackupOptions, BackupStatus, NodeBackups } from './node/backup/node-backups.js';
export { BackupError, type BackupErrorCode } from './backup/errors.js';
export { NodeError } from './node/errors.js';
export { DocumentError } from './documents/errors.js';
export { kinds, type Kind, type RecordOf } from './documents/schemas/kinds.js';
export type { FieldTable, KindTable } from './documents/schemas/table.js';
export type { MergeRule } from './documents/merge/rules.js';
export type { Cause, Write } from './documents/write.js';
export type { Channel, Sender } from './sync/channel.js';
export { FolderLocked, FolderError } from './storage/lock.js';
export { SealError } from './storage/seal-error.js';
export { sealingKey, type SealingKey } from './storage/seal.js';
export type { Keyring } from './storage/sealed-chunks.js';
export { JsonFileError } from './storage/json-file.js';
export { SyncError } from './sync/errors.js';
export { startRelay, type Relay, type RelayOptions } from './sync/relay.js';
export { systemClock, type Clock } from './time/clock.js';
export { silentLog, type Log } from './telemetry/log.js';
export { Actor, type SendOptions } from './actors/actor.js';
export type { ActorChange } from './actors/subscribers.js';
export { ActorError, type ActorErrorCode } from './actors/errors.js';
export type { LiveActors } from './actors/live-actors.js';
export type { EffectHandler, HandlerOptions } from './actors/handlers.js';
export type { Machine, MachineOptions } from './actors/machines.js';
export type { Migration } from './actors/migration.js';
export type { Effect } from './actors/effect.js';
export type { ActorEvent } from './actors/plan.js';
export type { ActorSnapshot } from './actors/snapshot.js';
export { openTasks, type Tasks, type TasksOptions } from './tasks/tasks.js';
export { TaskError, type Task, type TaskStatus, type UnreadableTask } from './tasks/task.js';
export type { LogEntry } from './tasks/run-machine.js';
export { openState, type StateOptions } from './state/open-state.js';
export type { SavedState, State, StateStatus } from './state/state.js';
export type { StateEventName, StateEvents } from './state/events.js';
export type { PersistedState, StateMetrics } from './state/persisted-state.js';
export type { ReportFormat } from './state/reports.js';
export { StateError } from './state/errors.js';
export type { KeyedEntry, KeyedStore, RegisterOptions } from './keyed/store.js';
export type { KeyedStoreOptions } from './keyed/options.js';
export type { ClaimStoreOptions } from './keyed/claim-options.js';
export type {
  Claimed,
  ClaimStore,
  ClaimVerbOptions,
  Ended,
  HeldClaim,
  RefusedClaim,
  UnguardedClaim,
} from './keyed/claim-store.js';
export type { ClaimCounters } from './keyed/claim-counters.js';
export type { MatrixFilter, MatrixStorage, MatrixUserStorage } from './node/matrix-storage/sdk-shape.js';
export type { OnceOptions } from './node/once/once-options.js';
export type { OnceCounters } from './node/once/once-counters.js';
export type { Turn } from './node/once/turn.js';
export { compareTokens, tokenText, type Ballot, type FencingToken } from './claims/token.js';
export type { AuthorityStatus, NodeClaims } from './node/claims/node-claims.js';
export { ClaimsError, type ClaimsErrorCode } from './node/claims/errors.js';
export { KeyedStoreError, type KeyedStoreErrorCode } from './keyed/errors.js';
export type { KeyedCounters } from './keyed/counters.js';
export {
  messageKey,
  threadKey,
  type ChannelAddress,
  type MessageAddress,
  type ThreadAddress,
} from './keyed/namespaces/channel-key.js';
export { approvalReactions, type ApprovalReaction } from './keyed/namespaces/approval-reactions.js';
export { interactivePrompts, type InteractivePrompt } from './keyed/namespaces/interactive-prompts.js';
export { sentMessages, type SentMessage } from './keyed/namespaces/sent-messages.js';
export { threadParticipation, type ThreadParticipation } from './keyed/namespaces/thread-participation.js';
