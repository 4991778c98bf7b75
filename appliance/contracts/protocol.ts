/** Protocol version: the `v` of every message and the number in every topic. In a file of its own, so that a client can be built without the schemas. */
export const PROTOCOL_VERSION = 1
