import { editContent } from '../../delivery/content.js';
import { DELIVERY_KEY } from '../../delivery/mark.js';
import type { HomeserverError } from '../../matrix/homeserver.js';
import type { RunEvent } from '../../platform/client.js';
import { isRefused } from '../../matrix/refusal.js';
import type { Outbox } from '../outbox.js';
import type { Source } from '../source.js';
import {
  closedText,
  decidedStep,
  decidedText,
  OFFERED,
  openSteps,
  questionOf,
  requestContent,
  requestSteps,
} from './request.js';

type Asked = Extract<RunEvent, { type: 'approval' }>;
type DecidedOn = Extract<RunEvent, { type: 'decided' }>;

export interface QuestionDeps {
  outbox: Pick<Outbox, 'beside' | 'event' | 'mark'>;
  prefix: string;
  happened?: ((event: string, outcome: string) => void) | undefined;
}

/**
 * What one run asks people, as it stands in the room: an event for each question, with our reactions to choose from, and
 * an edit of it once it is decided or the run is over. Every event is a step of its own, looked for before it is sent, so
 * that whoever follows the run again finds what is there. The platform alone knows what was decided (PROTOCOL P5).
 */
export class Questions {
  /** By the step of the request. */
  private readonly open = new Map<string, { question: string; event: string }>();
  private readonly closed = new Set<string>();

  constructor(
    private readonly deps: QuestionDeps,
    private readonly source: Source,
    private readonly signal: AbortSignal,
  ) {}

  async ask({ id, question }: Asked): Promise<void> {
    const { source, signal } = this;
    const step = requestSteps.request(id);
    const asked = { approval: id, person: source.ref.sender, question, prefix: this.deps.prefix };
    const event =
      this.sent(step)?.id ??
      (await this.deps.outbox.beside(
        source,
        step,
        (mark, replyTo) => requestContent(asked, mark, replyTo),
        signal,
      ));
    this.open.set(step, { question, event });
    if (this.sent(step)?.redacted === true || this.sent(decidedStep(step)) !== undefined) return;
    for (const { key, name } of OFFERED) await this.offer(event, requestSteps.offer(id, name), key);
  }

  decided({ id, ...decided }: DecidedOn): Promise<void> {
    return this.close(requestSteps.request(id), decidedText(decided));
  }

  /** The run is over; what was not decided on, whoever asked it, says why nothing can be any more. */
  async over(how: string): Promise<void> {
    const standing = openSteps(this.source.events);
    for (const step of new Set([...this.open.keys(), ...standing])) await this.close(step, how);
  }

  /** Buttons are a help: where the room does not take reactions, people write their decision. */
  private async offer(target: string, step: string, key: string): Promise<void> {
    if (this.sent(step) !== undefined) return;
    const { source, signal } = this;
    const content = {
      'm.relates_to': { rel_type: 'm.annotation', event_id: target, key },
      [DELIVERY_KEY]: this.deps.outbox.mark(source, step, false),
    };
    try {
      await this.deps.outbox.event(source.ref.room, source.id, step, 'm.reaction', content, signal);
    } catch (error) {
      if (!isRefused(error)) throw error;
      // It stands already: the homeserver takes one of a kind (M_DUPLICATE_ANNOTATION).
      if (!isDuplicate(error)) this.deps.happened?.('offered-reaction', 'refused');
    }
  }

  private async close(request: string, how: string): Promise<void> {
    const sent = this.sent(request);
    // Of one that another replica asked, the room alone has the text: a run that is over does not ask again.
    const asked = this.open.get(request) ?? (sent && { question: questionOf(sent.body), event: sent.id });
    const step = decidedStep(request);
    if (asked === undefined || sent?.redacted === true || this.sent(step) !== undefined) return;
    if (this.closed.has(request)) return;
    const edit = { kind: 'm.text' as const, body: closedText(asked.question, how), target: asked.event };
    await this.deps.outbox.beside(this.source, step, (mark) => editContent({ ...edit, mark }), this.signal);
    this.closed.add(request);
  }

  /** Of several under one step (PROTOCOL D10) one that stands. */
  private sent(step: string) {
    const all = this.source.events.filter((event) => event.mark.step === step);
    return all.find(({ redacted }) => !redacted) ?? all[0];
  }
}

const isDuplicate = (error: HomeserverError): boolean => error.detail.errcode === 'M_DUPLICATE_ANNOTATION';
