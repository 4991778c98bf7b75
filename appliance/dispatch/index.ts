export { Admission } from './admission.ts'
export { Dispatcher } from './dispatcher.ts'
export { endUntold, endUntoldWhenBack, recover } from './recovery.ts'
export { IntentService } from './service.ts'
