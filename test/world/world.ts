import { inject } from 'vitest';
import { Person, type HomeserverAccess } from './person.js';

/** The Synapse of this run, shared by all tests; each makes its own people and rooms there. */
export const sharedHomeserver = (): HomeserverAccess => inject('homeserver');

/** A new person on the shared homeserver. */
export const newPerson = (name: string): Promise<Person> => Person.register(sharedHomeserver(), name);
