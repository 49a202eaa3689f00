import type { Homeserver } from '../../../matrix/homeserver.js';
import type { PlatformClient } from '../../../platform/client.js';
import type { Clock } from '../../../time/clock.js';
import type { ActorReader } from '../../actors/reader.js';
import type { Recorder } from '../../actors/recorder.js';
import type { Outbox } from '../../outbox.js';
import type { Decisions } from '../../approvals/decisions.js';
import type { Records } from '../../records.js';
import type { Agents } from '../agents.js';
import type { Binding } from '../binding.js';
import type { Chats } from '../chats.js';
import type { Choices } from '../choices.js';
import type { DerivedState } from '../derived.js';
import type { Onboarding } from '../onboarding.js';
import type { RunUnderWay } from '../run-under-way.js';
import type { SavedContexts } from '../saved.js';
import type { RoomThreads } from '../threads.js';
import { agentCommand, agentsCommand } from './agent.js';
import { archiveCommand } from './archive.js';
import { cancelCommand } from './cancel.js';
import { chatsCommand } from './chats.js';
import type { Run } from './command.js';
import { contextCommand } from './context.js';
import { helpCommand } from './help.js';
import { type CommandName, commands } from './list.js';
import { loadCommand } from './load.js';
import { newCommand } from './new.js';
import { pendingCommand } from './pending.js';
import { renameCommand } from './rename.js';
import { saveCommand } from './save.js';
import { type StatusReport, statusCommand } from './status.js';
import { threadsCommand } from './threads.js';

export interface CommandDeps {
  homeserver: Homeserver;
  outbox: Outbox;
  platform: PlatformClient;
  records: Records;
  recorder: Recorder;
  reader: ActorReader;
  clock: Clock;
  onboarding: Onboarding;
  chats: Chats;
  agents: Agents;
  binding: Binding;
  derived: DerivedState;
  saved: SavedContexts;
  underWay: RunUnderWay;
  decisions: Decisions;
  choices: Choices;
  threads: RoomThreads;
  isAdmin: (mxid: string) => boolean;
  self: string;
  prefix: string;
  status: () => StatusReport;
}

/** What carries out each command of the table. */
export function commandRuns(deps: CommandDeps): Record<CommandName, Run> {
  return {
    new: newCommand(deps, 'new'),
    branch: newCommand(deps, 'branch'),
    chats: chatsCommand(deps),
    rename: renameCommand(deps),
    archive: archiveCommand(deps),
    save: saveCommand(deps),
    load: loadCommand(deps),
    context: contextCommand(deps),
    threads: threadsCommand(deps),
    agents: agentsCommand(deps),
    agent: agentCommand(deps),
    cancel: cancelCommand(deps),
    status: statusCommand(deps),
    help: helpCommand({ prefix: deps.prefix, entries: commands }),
    yes: pendingCommand(deps, 'yes'),
    no: pendingCommand(deps, 'no'),
  };
}
