-- include: keys
-- RQ's jobs and queues, and how workers that wait for jobs are woken.

local WAKE_TOKENS = 16        -- enough for every idle worker to be woken; each wakes the next while work is left

-- An RQ job that any RQ worker with the JSON serializer can run. Every value stays under 64 bytes: a longer one would
-- turn the hash from a listpack into a table of more than twice the size.
local function make_job(job, queue, status, timeout_s, iso)
    redis.call('HSET', job_key(job), 'data', '["workers.deliver.run",null,["' .. job .. '"],{}]', 'origin', queue,
        'status', status, 'timeout', timeout_s, 'result_ttl', '0', 'created_at', iso, 'description', 'run')
end

-- Adds a queue to the queues that RQ and Frontdesk know.
local function announce_queue(queue)
    redis.call('SADD', 'rq:queues', queue_key(queue))
    redis.call('SADD', 'fd:queues', queue)
end

-- Wakes one idle worker of a queue: a token in its list ends the BLPOP of that worker.
local function wake(queue)
    if redis.call('LLEN', 'fd:wake:' .. queue) < WAKE_TOKENS then redis.call('LPUSH', 'fd:wake:' .. queue, 1) end
end

-- Wakes every idle worker of a queue, because some of them may not be able to run what is there.
local function wake_all(queue)
    for _ = redis.call('LLEN', 'fd:wake:' .. queue) + 1, WAKE_TOKENS do redis.call('LPUSH', 'fd:wake:' .. queue, 1) end
end
