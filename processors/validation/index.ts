// The validator of every zone.
export { minimal as validation } from './minimal.ts'
