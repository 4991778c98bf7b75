/** Intent types. @see ../../appliance/contracts/envelope.ts */
export const TYPE_PATTERN = '^[a-z][a-z0-9]*(\\.[a-z][a-zA-Z0-9]*)*$'
