// One BullMQ worker process: 50 jobs at a time; those that are done are kept, as is its default.
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'bullmq'
import { connection, mark, waitMs } from './duty.mjs'

const worker = new Worker('events', async job => {
  mark(job.data)
  if (waitMs) await setTimeout(waitMs)
}, { connection, concurrency: 50 })
process.on('SIGTERM', async () => { await worker.close(true); process.exit(0) })
