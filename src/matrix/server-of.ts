/** The server in an id (Matrix spec, identifiers); empty where the id names none, as a room's of version 12. */
export const serverOf = (id: string): string => (id.includes(':') ? id.slice(id.indexOf(':') + 1) : '');
