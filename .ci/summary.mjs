// One line from vitest's report. A file that could not be loaded, and a run that failed without a failing test (types, lint), count
// as one failure each.
import { existsSync, readFileSync } from 'node:fs'

const code = Number(process.argv[2])
let passed = 0
let failed = 0
if (existsSync('.meterstream/test-report.json')) {
  const report = JSON.parse(readFileSync('.meterstream/test-report.json', 'utf8'))
  passed = report.numPassedTests
  failed = report.numFailedTests
  for (const file of report.testResults) {
    if (file.status === 'failed' && !file.assertionResults.some((a) => a.status === 'failed')) failed += 1
  }
}
if (code !== 0 && failed === 0) failed = 1
process.stdout.write(`${passed} passed, ${failed} failed\n`)
