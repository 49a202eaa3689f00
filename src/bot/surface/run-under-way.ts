import { type SentEvent, viewAnswer } from '../../delivery/view.js';
import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import { FormsReadBack } from '../forms.js';
import { meaningOf } from '../intake.js';
import type { Records } from '../records.js';
import type { Source, SourceRef } from '../source.js';
import { eventsBefore } from './room-history.js';

const MOST_EVENTS_BACK = 1000;

export interface RunUnderWayDeps {
  homeserver: Homeserver;
  records: Records;
  self: string;
  known: (id: string) => Source | undefined;
  /** The message goes to the room's agent. */
  isPrompt: (event: RoomEvent) => boolean;
}

/**
 * The run that a message means which stands after it: that of the first prompt before it whose answer does not stand
 * before it too. Of what stands in the timeline alone, so that it is the same one whoever looks, and whenever.
 */
export class RunUnderWay {
  constructor(private readonly deps: RunUnderWayDeps) {}

  async before(room: string, event: string, signal: AbortSignal): Promise<SourceRef | undefined> {
    const { homeserver, records, self, isPrompt } = this.deps;
    const genesis = records.genesis() ?? 0;
    const sent = new Map<string, SentEvent[]>();
    const forms = new FormsReadBack(room, this.deps);
    let first: SourceRef | undefined;
    let seen = 0;
    for await (const one of eventsBefore(homeserver, room, event, signal)) {
      seen += 1;
      // Of others' servers the clocks may be wrong.
      const isOld = one.sender === self && one.origin_server_ts < genesis;
      if (isOld || seen > MOST_EVENTS_BACK) break;
      const form = forms.read(one);
      const meaning = meaningOf(room, one, self);
      if (meaning.is === 'sent')
        sent.set(meaning.source, [meaning.event, ...(sent.get(meaning.source) ?? [])]);
      // An edit has a run of its own where each is answered.
      if (meaning.is !== 'source' && meaning.is !== 'edit') continue;
      if (meaning.ref.kind !== 'message' || !isPrompt(this.deps.known(meaning.ref.id)?.prompt ?? form))
        continue;
      if (!isAnswered(sent.get(meaning.ref.id) ?? []) && this.isOurs(meaning.ref)) first = meaning.ref;
    }
    return first;
  }

  /** Answered since, or still to be answered; not what was dropped, or is no source of ours. */
  private isOurs(ref: SourceRef): boolean {
    const { known, records } = this.deps;
    const reason = records.markReason(ref) ?? known(ref.id)?.settled;
    return reason === undefined ? known(ref.id) !== undefined : reason === 'answered';
  }
}

function isAnswered(events: readonly SentEvent[]): boolean {
  const view = viewAnswer(events);
  return view.accepted !== undefined || view.anchorRedacted;
}
