import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import { serverOf } from '../../matrix/server-of.js';
import type { PlatformClient } from '../../platform/client.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import type { Outcome, WorkContext } from '../attendant.js';
import { ifShown } from '../failures.js';
import type { Outbox } from '../outbox.js';
import type { ActorReader } from '../actors/reader.js';
import type { Recorder } from '../actors/recorder.js';
import type { Records } from '../records.js';
import type { Source, SourceRef } from '../source.js';
import { said } from '../addressing/said.js';
import { Decisions } from '../approvals/decisions.js';
import type { OpenRequests } from '../approvals/open-requests.js';
import { Reactions } from '../approvals/reactions.js';
import { Attachments } from '../attachments/attachments.js';
import { readMedia } from '../attachments/media.js';
import type { Staging } from '../attachments/staging.js';
import { Agents } from './agents.js';
import { Binding } from './binding.js';
import { Chats } from './chats.js';
import { Branching } from './branching.js';
import { bareNumber, Choices, type OpenList } from './choices.js';
import { commandRuns } from './commands/all.js';
import { mayStop } from './commands/cancel.js';
import type { Call } from './commands/command.js';
import { Dispatch } from './commands/dispatch.js';
import { commandList } from './commands/help.js';
import { commands } from './commands/list.js';
import { visible } from './commands/permission.js';
import type { StatusReport } from './commands/status.js';
import { DerivedState } from './derived.js';
import { Healing } from './healing.js';
import type { PromptStore } from './list-askers.js';
import { Onboarding } from './onboarding.js';
import { toldThroughOutages } from './outages.js';
import { answerPrompt } from './prompt.js';
import { RunUnderWay } from './run-under-way.js';
import { SavedContexts } from './saved.js';
import { Dropped, type MadeRoom, Rooms } from './rooms.js';
import { Spaces } from './spaces.js';
import { link, notice, pickAnAgent } from './texts.js';
import { RoomThreads, type Threads } from './threads.js';
import { Withdrawal } from './withdrawal.js';

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
  isAdmin: (mxid: string) => boolean;
  /** What rooms that say nothing of it do with threads. */
  threads: Threads;
  /** A source that this replica has in memory. */
  known: (id: string) => Source | undefined;
  status: () => StatusReport;
  /** What a room's record says of who is answered there, once it is bound. */
  addressed: (room: string) => { answers?: 'always'; direct?: true };
  greet: (ref: SourceRef) => Promise<Source>;
  staging: Staging;
  /** Which events are questions of ours. */
  requests: OpenRequests;
  /** Somebody talks to the bot in the room. */
  used: (room: string) => void;
  /** What is remembered of lists that wait for a choice. */
  prompts: PromptStore;
  /** All that this replica has in memory. */
  sources: () => Iterable<Source>;
  happened?: ((event: string, outcome: string) => void) | undefined;
}

/**
 * The bot as people meet it: turns a source into what is answered. Called by the attendant of whichever replica
 * has its turn, perhaps again by another; everything it does is found done by whoever comes next.
 */
export class Surface {
  readonly rooms: Rooms;
  readonly derived: DerivedState;
  readonly withdrawal: Withdrawal;
  readonly reactions: Reactions;
  private readonly agents: Agents;
  private readonly onboarding: Onboarding;
  private readonly chats: Chats;
  private readonly binding: Binding;
  private readonly dispatch: Dispatch;
  readonly choices: Choices;
  private readonly saved: SavedContexts;
  private readonly attachments: Attachments;
  private readonly threads: RoomThreads;

  constructor(private readonly deps: SurfaceDeps) {
    const { records, recorder, platform, clock, greet } = deps;
    this.rooms = new Rooms({ ...deps, isDropped: (id) => deps.known(id)?.dropped === true });
    const { rooms } = this;
    const spaces = new Spaces(deps);
    const healing = new Healing({ ...deps, spaces, rooms, derived: () => this.derived });
    const asksAgent = (source: Source) => this.asksAgent(source);
    this.withdrawal = new Withdrawal({ ...deps, rooms, healing, asksAgent });
    this.agents = new Agents(platform, records);
    this.derived = new DerivedState({ ...deps, home: (person, signal) => healing.home(person, signal) });
    this.choices = new Choices(deps);
    const { agents, derived } = this;
    const branching = new Branching({ ...deps, binding: () => this.binding });
    this.chats = new Chats({ records, recorder, platform, rooms, agents, branching, derived });
    const { chats } = this;
    const now = () => clock.now();
    this.onboarding = new Onboarding({ records, healing, chats, greet, now });
    const finish = (made: MadeRoom, signal: AbortSignal) => this.finish(made, signal);
    this.binding = new Binding({ ...deps, rooms, agents, finish });
    const { onboarding, binding } = this;
    this.saved = new SavedContexts({ ...deps, binding });
    this.threads = new RoomThreads(records, deps.threads);
    const { saved, threads } = this;
    const isPrompt = (event: RoomEvent) => this.isPrompt(event);
    const underWay = new RunUnderWay({ ...deps, isPrompt });
    const decisions = new Decisions(deps);
    const mayCancel = (person: string, run: SourceRef) => mayStop(deps, person, run);
    this.reactions = new Reactions({ ...deps, decisions, isPrompt, mayCancel });
    const { choices } = this;
    const own = { onboarding, chats, agents, binding, derived, saved, underWay, decisions, choices };
    const runs = commandRuns({ ...deps, ...own, threads });
    this.dispatch = new Dispatch({ ...deps, binding, runs });
    this.attachments = new Attachments({
      ...deps,
      isCommand: (event) => this.isCommand(event),
      isChoice: async (event, room, signal) => (await this.listFor(event, room, signal)) !== undefined,
    });
  }

  /** A command that passes ahead of the run before it (PROTOCOL O6). */
  ahead(event: RoomEvent): boolean {
    return this.dispatch.entry(this.said(event))?.ahead === true;
  }

  /** A command that writes the person's own records (PROTOCOL O5). */
  personal(event: RoomEvent): boolean {
    return this.dispatch.entry(this.said(event))?.personal === true;
  }

  /** It goes to the room's agent; false also while the event is not known. */
  asksAgent({ ref, prompt, offered }: Source): boolean {
    if (ref.kind !== 'message' || prompt === undefined || (offered ?? null) !== null) return false;
    return this.isPrompt(prompt);
  }

  /** In that form it is an agent's to answer, whatever stands before it: no command, no choice from a list. */
  isForAgent(event: RoomEvent): boolean {
    return this.isPrompt(event) && !this.isNumber(event);
  }

  private isPrompt(event: RoomEvent): boolean {
    return isAsked(event) && !this.isCommand(event);
  }

  private isCommand(event: RoomEvent): boolean {
    return this.dispatch.isCommand(this.said(event));
  }

  private isNumber(event: RoomEvent): boolean {
    return isText(event) && bareNumber(this.said(event)) !== undefined;
  }

  private said(event: RoomEvent): string {
    const body = bodyOf(event);
    return this.dispatch.isCommand(body) ? body : said(body, event, this.deps.self);
  }

  /** Whether a bare number is a choice, and which files go with a prompt, is read before anything is written of it
   * (PROTOCOL P5). */
  async prepare(source: Source, signal: AbortSignal): Promise<void> {
    const { prompt, ref, offered } = source;
    if (prompt === undefined || ref.kind !== 'message') return;
    if (!this.isNumber(prompt)) source.offered = undefined;
    else if (offered === undefined) source.offered = (await this.listFor(prompt, ref.room, signal)) ?? null;
    if (this.asksAgent(source)) await this.attachments.prepare(source, signal);
  }

  private async listFor(event: RoomEvent, room: string, signal: AbortSignal): Promise<OpenList | undefined> {
    return this.isNumber(event) ? this.choices.openList(event, room, signal) : undefined;
  }

  /** Settled by another replica: what waited for it waits no more. */
  settledElsewhere(source: Source): void {
    if (this.asksAgent(source) && this.deps.records.markReason(source.ref) !== 'not-for-us')
      this.attachments.over(source);
  }

  async work(source: Source, context: WorkContext): Promise<Outcome> {
    try {
      return await toldThroughOutages(this.deps, source, context, () => this.once(source, context));
    } catch (error) {
      if (error instanceof Dropped) return { settle: 'dropped' };
      throw error;
    }
  }

  private async once(source: Source, context: WorkContext): Promise<Outcome> {
    switch (source.ref.kind) {
      case 'greeting':
        return notice(
          `Hello! This room is a chat of your own. Write, and the agent answers here.\n${commandList(this.deps.prefix, visible(commands, false))}`,
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
      case 'reaction':
        return this.reactions.work(source, context.signal, this.freshness(context.signal));
      case 'message':
        return this.message(source, context);
    }
  }

  private async pointToChat(source: Source, text: string, signal: AbortSignal): Promise<Outcome> {
    const welcome = await this.onboarding.ensure(source.ref.sender, signal);
    if ('gone' in welcome) return pickAnAgent(welcome.gone, welcome.agents, this.deps.prefix);
    const { records, self, homeserver, prefix } = this.deps;
    // The first chat may have been archived since, or the bot taken out of it.
    const joined = new Set(await homeserver.joinedRooms(signal));
    const chats = records.chatsOf(source.ref.sender);
    const open = chats.filter(({ archived, room }) => !archived && joined.has(room)).map(({ room }) => room);
    const room = open.includes(welcome.room) ? welcome.room : open[0];
    if (room === undefined) return notice(`Hello! None of your chats is open; ${prefix}new makes one.`);
    // Who invites the bot again may have left what it made.
    const left = [room, welcome.space].filter((one) => joined.has(one));
    if (source.ref.kind === 'invite') await this.rooms.bringBack(source.ref.sender, left);
    return notice(`${text}: ${link(room, serverOf(self))}`);
  }

  private async message(source: Source, context: WorkContext): Promise<Outcome> {
    if (source.event === undefined)
      source.learn(await this.deps.homeserver.event(source.ref.room, source.id, context.signal));
    const event = source.prompt;
    if (event === undefined || event.unsigned?.['redacted_because'] !== undefined)
      return { settle: 'dropped' };
    const { room, sender: person, ts } = source.ref;
    this.deps.used(room);
    const { signal } = context;
    const fresh = this.freshness(signal);
    // Known here by a note of ours to it alone.
    if (event.type === 'm.reaction') return this.reactions.work(source, signal, fresh);
    const body = bodyOf(event);
    const { prefix, records } = this.deps;
    const place = this.threads.place(room, source.thread);
    const call = { source, room, place, person, cause: { id: source.id, ts }, signal, fresh };
    const commanded = await this.dispatch.run(this.said(event), call);
    if (commanded !== undefined) return commanded;
    if (!isAsked(event))
      return notice(this.attachments.refusal(source) ?? 'I can read text, images, files, audio and video.');
    await this.prepare(source, signal);
    await this.binding.finishIfMade(room, signal);
    if (records.room(room)?.archived === true) {
      source.failure = 'archived';
      return notice(`This chat is archived. ${prefix}branch goes on from it in a new one.`);
    }
    if (source.offered) return this.choose(source.offered, bareNumber(this.said(event)) ?? 0, call);
    if (records.room(room) === undefined) {
      const welcome = await this.onboarding.ensure(person, signal);
      if ('gone' in welcome) return pickAnAgent(welcome.gone, welcome.agents, prefix);
    }
    const { binding, attachments } = this;
    const { thread } = place;
    return answerPrompt({ ...this.deps, binding, attachments, thread }, source, body, context);
  }

  /** Before each write: not taken over meanwhile, and nothing to be read first (PROTOCOL D5). */
  private freshness(signal: AbortSignal): () => void {
    return () => {
      signal.throwIfAborted();
      this.deps.outbox.mustBeFresh();
    };
  }

  /** A number answers the list before it, which was made for the same person, in the context that the list is of. */
  private async choose(
    list: OpenList,
    number: number,
    call: Omit<Call, 'args' | 'isAdmin'>,
  ): Promise<Outcome> {
    const name = list.names[number - 1];
    if (name === undefined) return notice(`The list goes from 1 to ${list.names.length}.`);
    const place = this.threads.place(call.room, list.thread);
    const outcome = await this.saved.load({ ...call, place }, name);
    this.choices.consume(call.room, list);
    return outcome;
  }

  /** The records of a room that a source made come from that source's own steps (PROTOCOL P3). */
  private async finish(made: MadeRoom, signal: AbortSignal): Promise<void> {
    const welcome = await this.onboarding.ensure(made.person, signal);
    if ('gone' in welcome || this.deps.records.room(made.room) !== undefined) return;
    await this.chats.make({ id: made.source }, made.person, welcome.space, made, signal);
  }

  /** P3, adopt: a made room whose source another room won is left; one that won and has no records gets them. */
  async adopt(candidates: readonly MadeRoom[], signal: AbortSignal): Promise<void> {
    for (const made of candidates) {
      if (made.source.endsWith('/space')) continue;
      const space = this.deps.records.user(made.person)?.space_id;
      if (space === undefined) continue;
      // A space that was lost is made anew when its person next needs it; its rooms wait for that.
      const entry = (await ifShown(() => this.rooms.ledger(space)))?.entries.get(made.source);
      if (entry === undefined) continue;
      if ('room' in entry && entry.room === made.room) await this.finish(made, signal);
      else await this.rooms.leaveLosers(made.source, 'room' in entry ? entry.room : undefined);
    }
  }
}

const isText = ({ content }: RoomEvent): boolean =>
  content['msgtype'] === 'm.text' || content['msgtype'] === 'm.emote';

/** Said to the bot, alone or with a file. */
const isAsked = (event: RoomEvent): boolean => isText(event) || readMedia(event)?.caption !== undefined;

/** What a person says; the body of a file without a caption is its name, and says nothing. */
const bodyOf = (event: RoomEvent): string => {
  const { body } = event.content;
  const file = readMedia(event);
  return typeof body === 'string' && (file === undefined || file.caption !== undefined) ? body : '';
};
