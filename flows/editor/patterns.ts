/** Intent types. @see ../../appliance/contracts/envelope.ts */
export const TYPE_PATTERN = '^[a-z][a-z0-9]*(\\.[a-z][a-zA-Z0-9]*)*$'
/** Slots of declared intents, and what may be said of a choice. @see ../../appliance/contracts/handlers.ts */
export const SLOT_NAME = /^[a-z][A-Za-z0-9]{0,31}$/
export const SLOT_VALUE = /^[a-z0-9' ]{1,40}$/
