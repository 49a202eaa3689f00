import { listText } from '../choices.js';
import { NO_CONTEXT, type SavedContexts } from '../saved.js';
import { notice } from '../texts.js';
import type { Records } from '../../records.js';
import type { Run } from './command.js';

/** `!load NAME`, and `!load` alone: the list is a question, which its own event in the timeline keeps (PROTOCOL P5). */
export function loadCommand(deps: { records: Records; saved: SavedContexts; prefix: string }): Run {
  return async (call) => {
    const [name] = call.args;
    if (deps.records.room(call.room)?.platform_chat_id === undefined) return notice(NO_CONTEXT);
    if (name !== undefined) return deps.saved.load(call, name);
    const names = await deps.saved.names(call);
    if (!Array.isArray(names)) return names;
    if (names.length === 0)
      return notice(`Nothing is saved here. ${deps.prefix}save NAME saves the context.`);
    return notice(listText(names, deps.prefix, call.place.thread));
  };
}
