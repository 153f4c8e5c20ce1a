// Enqueues what is wanted before any worker runs.
import { Queue } from 'bullmq'
import { connection, wanted } from './duty.mjs'

const queue = new Queue('events', { connection })
const jobs = wanted().map(data => ({ name: 'run', data }))
while (jobs.length) await queue.addBulk(jobs.splice(0, 500))
await queue.close()
