import { sleep, type Clock } from '../../time/clock.js';
import { withNames } from '../attachments.js';
import { BackendError, type Backend } from './backend.js';
import { fillUp, readOrders, slices } from './drill-orders.js';

/**
 * Answers "drill #<n>: <text>" and obeys words in the prompt (see `DrillOrders`), in the order wait, approve,
 * stream, fail or answer. Resumable: all progress follows from when its invocation began, so that a
 * platform that dies and comes back goes on with the same invocation, the same text and the same deadline.
 */
export function drillBackend(clock: Clock): Backend {
  return {
    async answer(request, signal) {
      const orders = readOrders(request.text);
      const { startedAt, seed } = await request.resume();
      const until = async (dueAt: number) => {
        if (dueAt > clock.now()) await sleep(clock, dueAt - clock.now(), signal);
      };
      await until(startedAt + orders.waitMs);

      let verdict = '';
      if (orders.approve) {
        const question = `Drill #${request.number} wants to go on.`;
        const decision = await request.approval({ id: '1', kind: 'drill', question }, signal);
        verdict = decision === 'approve' ? ' [approved]' : ' [denied]';
      }
      const varied = orders.vary ? ` [${seed}]` : '';
      const said = withNames(request.text, await request.attachments());
      const text = fillUp(`drill #${request.number}: ${said}${verdict}${varied}`, orders.size);

      const streamFrom = orders.approve ? clock.now() : startedAt + orders.waitMs;
      for (const [index, piece] of slices(text, orders.deltas).entries()) {
        await until(streamFrom + (index + 1) * orders.everyMs);
        signal.throwIfAborted();
        request.delta(piece);
      }
      if (orders.fail)
        throw new BackendError('drill-failed', `drill #${request.number} failed as it was told to`);
      return text;
    },
  };
}
