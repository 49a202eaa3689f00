import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCbor, encodeCbor } from '../../src/sync/codec.js';

test('whatever may be said between replicas comes back as it was', () => {
  const plain = fc.jsonValue({ maxDepth: 8 });
  fc.assert(
    fc.property(
      plain,
      fc.uint8Array({ maxLength: 400 }),
      fc.double({ noNaN: true }),
      (json, bytes, number) => {
        const value = [
          json,
          { bytes, number, text: '🙂'.repeat(bytes.length), none: null },
          2 ** 53 - 1,
          -1,
          true,
        ];
        fc.pre(!JSON.stringify(json).includes('__proto__'));
        const encoded = encodeCbor(value);
        expect(Buffer.compare(encodeCbor(decodeCbor(encoded)), encoded)).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});

test('bytes of chance are read or refused, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeCbor(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 5_000 },
  );
});
