import { ALWAYS_THERE } from './check-transitions.js';
import type { Report } from './errors.js';
import { nameFault } from './names.js';
import type { Branch, MachineShape } from './shape.js';
import type { StateNode } from './state-tree.js';

/** Reports events that are declared badly or for nothing. */
export function checkEvents(machine: MachineShape, nodes: readonly StateNode[], report: Report): void {
  const lists = nodes.flatMap(({ shape }) => Object.entries(shape.on ?? {}));
  const taken = new Set(lists.filter(([, list]) => list.some(doesSomething)).map(([type]) => type));
  for (const [type, fields] of Object.entries(machine.events)) {
    const field = `events.${type}`;
    if (!taken.has(type))
      report('unused-event', '', field, 'no state has a transition for it that does anything');
    for (const [index, name] of fields.entries()) {
      const fault = nameFault('identifier', name);
      if (fault) report(fault.code, '', `${field}.${index}`, fault.what);
      if (name === 'type' || ALWAYS_THERE.includes(name)) {
        report('reserved-name', '', `${field}.${index}`, `"${name}" is in every event: it is not declared`);
      }
      if (fields.indexOf(name) < index)
        report('bad-shape', '', `${field}.${index}`, `"${name}" stands twice`);
    }
  }
}

/** A transition without all of these only keeps the states around from taking the event. */
const doesSomething = ({ target, assign, actions }: Branch): boolean =>
  target !== undefined || assign !== undefined || actions !== undefined;
