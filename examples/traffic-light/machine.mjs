import { createMachine } from 'xstate';

/** What a lamp shows is done outside the actor: an effect, which is a name and its parameters. */
const show = (colour) => ({ type: 'show', params: { colour } });

export const light = createMachine({
  id: 'light',
  initial: 'off',
  states: {
    off: { on: { SWITCH_ON: 'red' } },
    red: { entry: show('red'), after: { 900: 'green' } },
    green: { entry: show('green'), after: { 900: 'yellow' } },
    yellow: { entry: show('yellow'), after: { 500: 'red' } },
  },
});
