import { editContent } from '../../delivery/content.js';
import { DELIVERY_KEY } from '../../delivery/mark.js';
import type { HomeserverError } from '../../matrix/homeserver.js';
import type { RunEvent } from '../../platform/client.js';
import { isRefused } from '../failures.js';
import type { Outbox } from '../outbox.js';
import type { Source } from '../source.js';
import { closedText, decidedText, OFFERED, requestContent, requestSteps } from './request.js';

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
  private readonly open = new Map<string, { question: string; event: string }>();

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
    this.open.set(id, { question, event });
    if (this.sent(step)?.redacted === true || this.sent(requestSteps.decided(id)) !== undefined) return;
    for (const { key, name } of OFFERED) await this.offer(event, requestSteps.offer(id, name), key);
  }

  decided({ id, ...decided }: DecidedOn): Promise<void> {
    return this.close(id, decidedText(decided));
  }

  /** The run is over; what was not decided on says why nothing can be any more. */
  async over(how: string): Promise<void> {
    for (const id of this.open.keys()) await this.close(id, how);
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

  private async close(id: string, how: string): Promise<void> {
    const asked = this.open.get(id);
    const step = requestSteps.decided(id);
    if (asked === undefined) return;
    this.open.delete(id);
    if (this.sent(step) !== undefined || this.sent(requestSteps.request(id))?.redacted === true) return;
    const edit = { kind: 'm.text' as const, body: closedText(asked.question, how), target: asked.event };
    await this.deps.outbox.beside(this.source, step, (mark) => editContent({ ...edit, mark }), this.signal);
  }

  private sent(step: string) {
    return this.source.events.find((event) => event.mark.step === step);
  }
}

const isDuplicate = (error: HomeserverError): boolean => error.detail.errcode === 'M_DUPLICATE_ANNOTATION';
