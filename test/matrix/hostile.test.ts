import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEvents, parseMessages, parseSync } from '../../src/matrix/answers.js';

const scalar = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, '__proto__', 'constructor', '\u0000', '\ud800', [], {}),
);
const hostileContent = fc.jsonValue({ maxDepth: 4 });
const hostileEvent = fc.oneof(
  fc.jsonValue(),
  fc.record(
    {
      event_id: fc.oneof(fc.string(), scalar),
      type: fc.oneof(fc.constant('m.room.message'), scalar),
      sender: fc.oneof(fc.constant('@a:b'), scalar),
      origin_server_ts: fc.oneof(fc.integer(), scalar),
      state_key: scalar,
      content: hostileContent,
      unsigned: hostileContent,
    },
    { requiredKeys: [] },
  ),
);

test('10,000 hostile events crash nothing, and each is kept well-formed or counted', () => {
  let seen = 0;
  fc.assert(
    fc.property(fc.array(hostileEvent, { minLength: 50, maxLength: 50 }), (raw) => {
      const events = JSON.parse(JSON.stringify(raw)) as unknown[];
      seen += events.length;
      let dropped = 0;
      const kept = parseEvents(events, (count) => (dropped += count));
      expect(kept.length + dropped).toBe(events.length);
      for (const event of kept) {
        expect(typeof event.event_id).toBe('string');
        expect(typeof event.sender).toBe('string');
        expect(Number.isFinite(event.origin_server_ts)).toBe(true);
        expect(typeof event.content === 'object' && !Array.isArray(event.content)).toBe(true);
      }
      const rooms = {
        join: { '!r:h': { timeline: { events } } },
        leave: { '!l:h': { timeline: { events } } },
      };
      expect(parseSync({ next_batch: 's', rooms }, () => undefined).joined[0]?.timeline).toEqual(kept);
      expect(parseMessages({ chunk: events }, () => undefined).chunk).toEqual(kept);
    }),
    { numRuns: 200 },
  );
  expect(seen).toBeGreaterThanOrEqual(10_000);
});

test('a __proto__ key in content stays data', () => {
  const [event] = parseEvents(
    JSON.parse(
      '[{"event_id":"$1","type":"t","sender":"@a:b","origin_server_ts":1,"content":{"__proto__":{"admin":true}}}]',
    ),
    () => undefined,
  );
  expect((event?.content as { admin?: boolean } | undefined)?.admin).toBeUndefined();
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
});
