-- include: jobs, keys, time
-- How a delivery goes back to its queue or into the schedule, and how it is taken from a worker.

local ISOLATED = 'frontdesk-isolated'

-- Makes the next job of delivery n of an event and puts it where it waits: into its queue, or into RQ's schedule until
-- *due_ms*. *queue* is where it runs next, which is not its own queue while it must run alone.
local function requeue(id, n, serial, queue, due_ms, timeout_s, iso, front)
    local job = id .. '-' .. n .. '-' .. serial
    local waits = due_ms > now_ms
    make_job(job, queue, waits and 'scheduled' or 'queued', timeout_s, iso)
    redis.call('HSET', state_key(id), n .. 'j', serial, n .. 's', waits and 'w' or 'q')
    if waits then
        redis.call('HSET', state_key(id), n .. 't', due_ms)
        redis.call('ZADD', scheduled_key(queue), due_ms / 1000, job)
    else
        redis.call('HDEL', state_key(id), n .. 't')
        redis.call(front and 'LPUSH' or 'RPUSH', queue_key(queue), job)
    end
    announce_queue(queue)
    wake(queue)
end

-- Takes a job from the worker that holds it, also in RQ's own list of running jobs.
local function let_go(worker, queue, job)
    redis.call('SREM', 'fd:held:' .. worker, job)
    redis.call('ZREM', 'rq:wip:' .. queue, job .. ':' .. worker)
end
