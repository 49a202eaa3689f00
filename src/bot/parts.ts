import { Inbox } from '../matrix/inbox.js';
import { Fence } from '../routing/fence.js';
import { TaskBoard } from '../tasks/board.js';
import { guardedClock } from '../time/guarded-clock.js';
import { registerOwn } from './actors/own.js';
import { ActorReader } from './actors/reader.js';
import { Recorder } from './actors/recorder.js';
import { Addressing } from './addressing/addressing.js';
import { DirectChats } from './addressing/direct-chats.js';
import { OwnMessages } from './addressing/own-messages.js';
import { RoomAnswers } from './addressing/room-answers.js';
import { Strangers } from './addressing/strangers.js';
import { Adoption } from './adoption.js';
import { AnswerAgain } from './answer-again.js';
import { Staging } from './attachments/staging.js';
import { OpenRequests } from './approvals/open-requests.js';
import { Attempts } from './attempts.js';
import { Attendant } from './attendant.js';
import { BeforeBatch } from './before-batch.js';
import { Classification } from './classification.js';
import { Copies } from './copies.js';
import type { BotDeps, BotSettings } from './deps.js';
import { Engine } from './engine.js';
import { ifShown } from './failures.js';
import { GenesisWatch } from './genesis-watch.js';
import { Invites } from './invites.js';
import { Outbox } from './outbox.js';
import { Participation } from './participation.js';
import { Presence } from './presence.js';
import { Budget } from './rate/budget.js';
import { Streams } from './rate/streams.js';
import { RoomReader } from './reader.js';
import { Receiver } from './receiver.js';
import { Records } from './records.js';
import { Restored } from './restored.js';
import { SignsOfOpening } from './shut-room.js';
import { Signs } from './signs.js';
import type { Source, SourceRef } from './source.js';
import type { StatusReport } from './surface/commands/status.js';
import { DerivedWatch } from './surface/derived-watch.js';
import { SpaceUse } from './surface/space-use.js';
import { Succession } from './surface/succession.js';
import { Surface } from './surface/surface.js';
import { replacementOf } from './surface/tombstone.js';
import { TakingUp } from './taking-up.js';

/** A peer acknowledges a frozen answer within this, or the send goes on without it (PROTOCOL D4). */
const PEER_DEADLINE_MS = 300;

/** What the parts ask of the bot as a whole. */
export interface BotHooks {
  dropFromJournal: (source: Source) => void;
  status: () => StatusReport;
  greet: (ref: SourceRef) => Promise<Source>;
}

export type BotParts = ReturnType<typeof assemble>;

/** Makes the parts of a bot and ties them together; nothing of them runs yet. */
export function assemble(deps: BotDeps, settings: BotSettings, hooks: BotHooks) {
  const { homeserver, channel, state, platform, journal, log } = deps;
  const clock = guardedClock(deps.clock, (error) => {
    log.error(
      { error: error instanceof Error ? error.stack : String(error) },
      'what a timer had to do failed',
    );
  });
  const { self, clusterId, leaseMs, patienceMs, heartbeatMs, prefix, allowed } = settings;
  const { replica, incarnation } = channel.self;
  registerOwn(state.actors);
  const records = new Records(state);
  const tasks = new TaskBoard(state);
  const answers = new RoomAnswers({ records, always: settings.alwaysRooms });
  const direct = new DirectChats({ homeserver, records, clock, log });
  const own = new OwnMessages({ stores: deps.ownMessages, homeserver, clock, log, self });
  const addressing = new Addressing({ homeserver, records, answers, direct, own, self });
  const requests = new OpenRequests({
    store: deps.questions.approvals,
    homeserver,
    self,
    log,
    happened: deps.happened,
  });
  const strangers = new Strangers({ records, policy: settings.strangers, tell: hooks.greet });
  const encrypted = new Set<string>();
  const staging = new Staging(clock);
  const recorder = new Recorder({
    actors: state.actors,
    records,
    clock,
    log,
    asksAgent: (source) => surface.asksAgent(source),
    happened: deps.happened,
  });
  const fence = new Fence(clock, leaseMs, (ms) => {
    log.warn(
      { jumpMs: Math.round(ms) },
      'this process stood still or a clock jumped: reading the timeline first',
    );
  });
  const participation = new Participation({
    channel,
    clock,
    fence,
    leaseMs,
    heard: () => inbox.lastSuccess(),
    newer: () => state.actors.newer(),
    obstacle: settings.obstacle,
  });
  const engine = new Engine({
    clock,
    log,
    records,
    presence: () => presence,
    attendant: () => attendant,
    self: replica,
    relay: () => channel.connected(),
    mayBegin: () => participation.candidate(),
    leaseMs,
    patienceMs,
    onSettled: hooks.dropFromJournal,
    offered: (source) => copies.take(source),
    onEpoch: (epoch) => (state.epoch = epoch),
  });
  state.actorTurn = (actor, since) => engine.actorTurn(actor, since);
  state.cutTurn = (shard, since) => engine.cutTurn(shard, since);
  const budget = new Budget({
    channel,
    clock,
    onRateLimit: () => deps.happened?.('send', 'rate-limited'),
  });
  const streams = new Streams({
    budget,
    perSecond: settings.editsPerSecond,
    ofPeers: () => presence.streams(leaseMs),
  });
  /** Its room cannot be read by us: who can may take it over (PROTOCOL O2). */
  const isBehind = (source: string) => inbox.owes(engine.get(source)?.ref.room ?? '');
  const presence = new Presence(channel, clock, {
    heartbeatMs,
    say: () => ({
      candidate: participation.candidate(),
      begun: participation.able() ? engine.begun().filter((source) => !isBehind(source)) : [],
      epoch: engine.epoch,
      version: settings.version,
      streams: streams.ofOurs(),
      heldMs: budget.met(),
    }),
    onProgress: (source) => engine.progress(source),
    onHeld: (ms) => budget.hear(ms),
    onChange: () => {
      participation.relayMayHaveChanged();
      engine.evaluate();
    },
  });
  const outbox = new Outbox({
    homeserver,
    channel,
    budget,
    epoch: () => engine.epoch,
    fenced: () => fence.raised(),
  });
  const signs = new Signs({
    homeserver,
    clock,
    isTight: () => budget.isTight(),
    ...(deps.happened !== undefined && { happened: deps.happened }),
  });
  const surface = new Surface({
    homeserver,
    outbox,
    records,
    recorder,
    reader: new ActorReader(state.actors),
    platform,
    clock,
    log,
    self,
    clusterId,
    prefix,
    isAdmin: settings.isAdmin,
    threads: settings.threads,
    known: (id) => engine.get(id),
    status: hooks.status,
    addressed: (room) => ({
      ...(answers.of(room) === 'always' && { answers: 'always' as const }),
      ...(direct.known(room) && { direct: true as const }),
    }),
    greet: hooks.greet,
    staging,
    requests,
    used: (room) => use.note(room),
    prompts: deps.questions.prompts,
    sources: () => engine.all(),
    happened: deps.happened,
  });
  const copies = new Copies(channel, clock, PEER_DEADLINE_MS, {
    keep: (id, answer) => {
      const source = engine.get(id);
      source?.hold(answer);
      return source !== undefined;
    },
    tell: (id) => {
      const source = engine.get(id);
      return { answers: source?.held ?? [], settled: source?.settled !== undefined };
    },
  });
  const accepts = (inviter: string) =>
    settings.invites === 'all' || (settings.invites === 'allowed' && allowed(inviter));
  const invites = new Invites({
    homeserver,
    clock,
    log,
    journal,
    direct,
    accepts,
    mayBegin: () => participation.candidate(),
    delay: (room, inviter) => engine.rank(room, inviter) * patienceMs,
    everyMs: heartbeatMs,
  });
  const classification = new Classification({
    engine,
    records,
    self,
    ahead: (event) => surface.ahead(event),
    personal: (event) => surface.personal(event),
  });
  const restored = new Restored({
    engine,
    journal,
    records,
    homeserver,
    clock,
    log,
    self,
    classify: (source) => classification.of(source),
  });
  const openings = new SignsOfOpening({ engine, self });
  const use = new SpaceUse({ records, look: (room) => derived.note(room) });
  const receiver = new Receiver({
    log,
    self,
    engine,
    records,
    journal,
    live: () => participation.live,
    onEdit: settings.onEdit,
    allowed,
    heedsStranger: (ref) => strangers.heeds(ref),
    heedsReaction: (event, room) => surface.reactions.heeds(event, room),
    onEvent: (room, event) => {
      requests.read(room, event);
      surface.choices.read(room, event);
      use.read(room, event);
      openings.read(room, event);
    },
    classify: (source) => classification.of(source),
    staging,
    onMade: (made) => surface.rooms.noteMade(made),
    onInvite: (room, invite) => invites.note(room, invite),
    onDirect: (room, person) => direct.note(room, person),
    onOwn: (room, event) => own.read(room, event),
    onMember: (room) => addressing.renamed(room),
    succeeds: (room, event) => {
      const next = replacementOf(event, self);
      const isWanted = next !== undefined && records.room(next.room) === undefined && accepts(event.sender);
      return isWanted && records.room(room) !== undefined ? next : undefined;
    },
    behind: (room, event) => surface.derived.behind(room, event),
    onBehind: (chat) => derived.note(chat),
    onJoined: (room) => invites.done(room),
    onLeft: (room, event) => {
      direct.left(room);
      use.forget(room);
      recorder.archived(room, event);
    },
    onEncrypted: (room) => encrypted.add(room),
  });
  const before = new BeforeBatch({
    log,
    self,
    records,
    inbox: () => inbox,
    createOf: (room, signal) => ifShown(() => homeserver.stateContent(room, 'm.room.create', '', signal)),
  });
  const { position, owed } = journal.state;
  const inbox = new Inbox({
    homeserver,
    clock,
    log,
    ...(position !== undefined && { since: position }),
    owed,
    timeoutMs: settings.pollMs,
    probeEveryMs: leaseMs / 3,
    readBefore: (room, signal) => before.read(room, signal),
    onBatch: (batch) => receiver.take(batch),
  });
  const succession = new Succession({
    homeserver,
    records,
    recorder,
    owe: (room) => derived.recordChanged(room),
  });
  const attempts = new Attempts(records, recorder, presence, { replica, incarnation });
  const again = new AnswerAgain({ homeserver, self, isPrompt: (event) => surface.isForAgent(event) });
  const takingUp = new TakingUp({
    attempts,
    asksAgent: (source) => surface.asksAgent(source),
    isOwed: (source, signal) => again.isOwed(source, signal),
    withdraw: (source, signal) => surface.withdrawal.withdraw(source, signal),
    closeQuestions: (source, signal) => surface.withdrawal.closeQuestions(source, signal),
  });
  const attendant = new Attendant({
    clock,
    log,
    records,
    recorder,
    outbox,
    copies,
    attempts,
    takingUp,
    asksAgent: (source) => surface.asksAgent(source),
    journal,
    timeline: new RoomReader(homeserver, inbox, receiver, self),
    fence,
    turnsMs: () => patienceMs * (new Set(records.members(clock.now())).add(self).size + 1),
    admit: async (source, signal) => {
      if (source.ref.kind === 'reaction') return surface.reactions.isForUs(source, signal);
      if (source.ref.kind !== 'message') return true;
      await succession.look(source.ref.room, { id: source.id, ts: source.ref.ts }, signal);
      if (!(await addressing.isForUs(source, signal))) return false;
      if (allowed(source.ref.sender)) return true;
      await strangers.answer(source.ref, signal);
      return false;
    },
    signs,
    work: (source, context) => surface.work(source, context),
    prepare: (source, signal) => surface.prepare(source, signal),
    floorFree: (source) => engine.floorFree(source),
    placeholderAfterMs: settings.placeholderAfterMs,
    streaming: settings.streaming,
    streams,
    ...(deps.happened !== undefined && { happened: deps.happened }),
    ...(deps.took !== undefined && { took: deps.took }),
  });
  const derived = new DerivedWatch({
    derived: surface.derived,
    journal,
    clock,
    log,
    delay: (room) => engine.rank(room, records.room(room)?.matrix_user_id ?? room) * patienceMs,
  });
  const adoption = new Adoption({
    homeserver,
    records,
    surface: () => surface,
    clock,
    log,
    self,
  });
  const genesis = new GenesisWatch({
    homeserver,
    inbox: () => inbox,
    receiver: () => receiver,
    records,
    log,
    self,
  });
  return {
    records,
    answers,
    direct,
    tasks,
    recorder,
    fence,
    participation,
    engine,
    presence,
    budget,
    streams,
    outbox,
    signs,
    surface,
    copies,
    invites,
    receiver,
    restored,
    inbox,
    adoption,
    derived,
    genesis,
    encrypted,
    staging,
  };
}
