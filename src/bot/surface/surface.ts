import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import type { PlatformClient } from '../../platform/client.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import type { Outcome, WorkContext } from '../attendant.js';
import type { Outbox } from '../outbox.js';
import type { ActorReader } from '../actors/reader.js';
import type { Recorder } from '../actors/recorder.js';
import type { Records } from '../records.js';
import type { Source, SourceRef } from '../source.js';
import { Agents } from './agents.js';
import { Binding } from './binding.js';
import { Chats } from './chats.js';
import { agentCommand, agentsCommand } from './commands/agent.js';
import { type Command, parseCommand } from './commands/command.js';
import { contextCommand } from './commands/context.js';
import { commandList, helpCommand } from './commands/help.js';
import { newCommand } from './commands/new.js';
import { type StatusReport, statusCommand } from './commands/status.js';
import { Onboarding } from './onboarding.js';
import { answerPrompt, throughOutages } from './prompt.js';
import { type MadeRoom, Rooms } from './rooms.js';
import { serverOf, Spaces } from './spaces.js';
import { link, notice, pickAnAgent } from './texts.js';

export interface SurfaceDeps {
  homeserver: Homeserver;
  outbox: Outbox;
  records: Records;
  recorder: Recorder;
  reader: ActorReader;
  platform: PlatformClient;
  clock: Clock;
  log: Log;
  /** Our own mxid. */
  self: string;
  clusterId: string;
  prefix: string;
  status: () => StatusReport;
  /** What a room's record says of who is answered there, once it is bound. */
  addressed: (room: string) => { answers?: 'always'; direct?: true };
  greet: (ref: SourceRef) => Promise<Source>;
}

/**
 * The bot as people meet it: turns a source into what is answered. Called by the attendant of whichever replica
 * has its turn, perhaps again by another; everything it does is found done by whoever comes next.
 */
export class Surface {
  readonly rooms: Rooms;
  private readonly agents: Agents;
  private readonly onboarding: Onboarding;
  private readonly chats: Chats;
  private readonly binding: Binding;
  private readonly spaces: Spaces;
  private readonly commands = new Map<string, Command>();

  constructor(private readonly deps: SurfaceDeps) {
    const { records, recorder, reader, platform, clock, greet, prefix, self } = deps;
    this.rooms = new Rooms(deps);
    this.agents = new Agents(platform, records);
    this.chats = new Chats({ records, recorder, platform, rooms: this.rooms, agents: this.agents });
    this.spaces = new Spaces(deps);
    const { spaces, chats, agents } = this;
    const now = () => clock.now();
    this.onboarding = new Onboarding({ records, recorder, reader, spaces, chats, greet, now });
    const finish = (made: MadeRoom, signal: AbortSignal) => this.finish(made, signal);
    this.binding = new Binding({ ...deps, rooms: this.rooms, agents, finish });
    for (const command of [
      newCommand({ onboarding: this.onboarding, chats, self, prefix }),
      agentsCommand({ agents }),
      agentCommand({ agents, platform, binding: this.binding, prefix }),
      contextCommand({ records }),
      statusCommand(deps),
      helpCommand({ prefix, commands: () => this.commands.values() }),
    ]) {
      this.commands.set(command.name, command);
    }
  }

  /** A command that passes ahead of the run before it (PROTOCOL O6). */
  ahead(event: RoomEvent): boolean {
    const parsed = parseCommand(this.deps.prefix, bodyOf(event));
    return parsed !== undefined && this.commands.get(parsed.name)?.ahead === true;
  }

  /** A command that writes the person's own records (PROTOCOL O5). */
  personal(event: RoomEvent): boolean {
    const parsed = parseCommand(this.deps.prefix, bodyOf(event));
    return parsed !== undefined && this.commands.get(parsed.name)?.personal === true;
  }

  /** It goes to the room's agent; false also while the event is not known. */
  asksAgent({ ref, event }: Source): boolean {
    if (ref.kind !== 'message' || event === undefined) return false;
    return isText(event) && parseCommand(this.deps.prefix, bodyOf(event)) === undefined;
  }

  async work(source: Source, context: WorkContext): Promise<Outcome> {
    return throughOutages(this.deps, context, () => this.once(source, context));
  }

  private async once(source: Source, context: WorkContext): Promise<Outcome> {
    switch (source.ref.kind) {
      case 'greeting':
        return notice(
          `Hello! This room is a chat of your own. Write, and the agent answers here.\n${commandList(this.deps.prefix, this.commands.values())}`,
        );
      case 'invite':
        return this.pointToChat(source, 'Hello! Your chat with me is here', context.signal);
      case 'encrypted':
        return this.pointToChat(
          source,
          'This room is encrypted and I cannot read it. Please talk to me in your plain chat',
          context.signal,
        );
      case 'stranger':
        return notice('I answer only people on my list. Whoever runs me can add you to it.');
      case 'message':
        return this.message(source, context);
    }
  }

  private async pointToChat(source: Source, text: string, signal: AbortSignal): Promise<Outcome> {
    const welcome = await this.onboarding.ensure(source.ref.sender, signal);
    if ('gone' in welcome) return pickAnAgent(welcome.gone, welcome.agents, this.deps.prefix);
    return notice(`${text}: ${link(welcome.room, serverOf(this.deps.self))}`);
  }

  private async message(source: Source, context: WorkContext): Promise<Outcome> {
    source.event ??= await this.deps.homeserver.event(source.ref.room, source.id);
    const { event } = source;
    if (event.unsigned?.['redacted_because'] !== undefined) return { settle: 'dropped' };
    const { room, sender: person, ts } = source.ref;
    const body = bodyOf(event);
    const { prefix } = this.deps;
    const parsed = parseCommand(prefix, body);
    if (parsed === undefined) {
      if (!isText(event)) return notice('I can read text only for now.');
      if (this.deps.records.room(room) === undefined) {
        const welcome = await this.onboarding.ensure(person, context.signal);
        if ('gone' in welcome) return pickAnAgent(welcome.gone, welcome.agents, prefix);
      }
      return answerPrompt({ ...this.deps, binding: this.binding }, source, body, context);
    }
    const command = this.commands.get(parsed.name);
    if (command === undefined)
      return notice(`There is no command ${prefix}${parsed.name}. ${prefix}help lists them.`);
    return command.run({
      room,
      person,
      cause: { id: source.id, ts },
      args: parsed.args,
      signal: context.signal,
    });
  }

  /** The records of a room that a source made come from that source's own steps (PROTOCOL P3). */
  private async finish(made: MadeRoom, signal: AbortSignal): Promise<void> {
    const welcome = await this.onboarding.ensure(made.person, signal);
    if ('gone' in welcome || this.deps.records.room(made.room) !== undefined) return;
    await this.chats.make({ id: made.source }, made.person, welcome.space, made.name, signal);
  }

  /** P3, adopt: a made room whose source another room won is left; one that won and has no records gets them. */
  async adopt(candidates: readonly MadeRoom[], signal: AbortSignal): Promise<void> {
    for (const made of candidates) {
      if (made.source.endsWith('/space')) continue;
      const space = this.deps.records.user(made.person)?.space_id;
      if (space === undefined) continue;
      const entry = (await this.rooms.ledger(space)).entries.get(made.source);
      if (entry === undefined) continue;
      if ('room' in entry && entry.room === made.room) await this.finish(made, signal);
      else await this.rooms.leaveLosers(made.source, 'room' in entry ? entry.room : '');
    }
  }
}

const isText = ({ content }: RoomEvent): boolean =>
  content['msgtype'] === 'm.text' || content['msgtype'] === 'm.emote';

const bodyOf = (event: RoomEvent): string => {
  const body = event.content['body'];
  return typeof body === 'string' ? body : '';
};
