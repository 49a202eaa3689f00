import { z } from 'zod';

/** The content key under which every event that we send says what it is (DESIGN §7, PROTOCOL D8). */
export const DELIVERY_KEY = 'dev.understudy.delivery';

/**
 * `source`: the event answered; `step`: one send for it; `final`: it carries (part of) a final text, `text`
 * says of which: hash of the list of parts, their number, and which part this is, from 1; `after`: hash of the
 * final that a next round follows; `of`: the edit in whose form the source was answered. `epoch` and `replica` are for people and repair, never a licence to send.
 */
export const deliveryMark = z.object({
  source: z.string().min(1).max(255),
  step: z.string().min(1).max(400),
  final: z.boolean(),
  epoch: z.number().int().nonnegative(),
  replica: z.string().max(255),
  text: z
    .object({
      hash: z.string().min(1).max(64),
      parts: z.number().int().min(1).max(10_000),
      part: z.number().int().min(1).max(10_000),
    })
    .optional(),
  after: z.string().max(64).optional(),
  of: z.string().max(255).optional(),
});

export type DeliveryMark = z.infer<typeof deliveryMark>;

/** The mark of an event, or undefined where there is none or it is not well formed. The caller has checked
 * that our own user sent the event: a mark of anybody else counts for nothing (PROTOCOL D8). */
export function readMark(content: Record<string, unknown>): DeliveryMark | undefined {
  const parsed = deliveryMark.safeParse(content[DELIVERY_KEY]);
  return parsed.success ? parsed.data : undefined;
}
