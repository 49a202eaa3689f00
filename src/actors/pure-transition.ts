import { type AnyActorRef, type AnyMachineSnapshot, type AnyStateMachine, createActor } from 'xstate';
import type { Action } from './machines.js';

type Scope = Parameters<AnyStateMachine['transition']>[2];

/**
 * What a transition is given as its actor, by machine: one that never runs. XState's own `transition` makes one for
 * each call, and enters the initial state with it: half of what a transition costs.
 */
const stand = new WeakMap<AnyStateMachine, AnyActorRef>();

/**
 * XState's `transition`: where an event leads from a snapshot, and the actions, none of them carried out.
 *
 * @param given the event, and the fields that guards and assignments read.
 */
export function transitionFrom(
  logic: AnyStateMachine,
  snapshot: AnyMachineSnapshot,
  given: Parameters<AnyStateMachine['transition']>[1],
): readonly [AnyMachineSnapshot, readonly Action[]] {
  const actions: Action[] = [];
  const self = stand.get(logic) ?? createActor(logic);
  // Put back only when the machine has left nothing in it (a child that it made, say): no transition may see another.
  stand.delete(logic);
  const scope: Scope = {
    self,
    system: self.system,
    id: '',
    sessionId: '',
    logger: () => {},
    defer: () => {},
    stopChild: () => {},
    emit: () => {},
    actionExecutor: (action: Action) => actions.push(action),
  };
  const to: AnyMachineSnapshot = logic.transition(snapshot, given, scope);
  if (Object.keys(to.children as object).length === 0) stand.set(logic, self);
  return [to, actions];
}
