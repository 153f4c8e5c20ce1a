// What a peer on Node does with a request and with a job; the same as ../duty.py.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { openSync, readFileSync, writeSync } from 'node:fs'

export const waitMs = Number(process.env.BENCH_WAIT_MS ?? 0)
const url = new URL(process.env.BENCH_REDIS)
export const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null }
const marks = openSync(process.env.BENCH_MARKS ?? '/dev/null', 'a', 0o600)

export function records (body, given) {
  const digest = createHmac('sha256', process.env.BENCH_SECRET).update(body).digest()
  const other = Buffer.from(given ?? '', 'hex')
  if (other.length !== digest.length || !timingSafeEqual(digest, other)) throw new Error('the signature does not match')
  return JSON.parse(body)
}

export function mark (record) {
  const id = String(record.Id).padStart(10, '0')
  writeSync(marks, `${id} ${String(process.hrtime.bigint()).padStart(20, '0')}\n`)
}

export function wanted () {
  const record = JSON.parse(readFileSync(process.env.BENCH_RECORD))
  return Array.from({ length: Number(process.argv[2]) }, (_, number) => ({ ...record, Id: record.Id + number }))
}
