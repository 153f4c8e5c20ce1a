-- include: handover, ids, jobs, keys, rules, time
-- on demand: gates
-- Claims one delivery for a stock RQ worker, which took the job from the queue itself.
--
-- ARGV: worker (a name for this one run), job id, lease in ms, rules of the routes (rules.lua)
-- Returns the delivery as claim.lua does; false when the job is stale or its delivery has to wait. RQ deletes the job
-- when the worker is done with it, so a delivery that has to wait gets a new job.

local worker, job, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local id, n, serial = parse_job(job)
if not id then return false end
local state = read_delivery(id, n)
if not may_run(state, serial) then return false end
local next_job = id .. '-' .. n .. '-' .. serial + 1
if open_gates(read_rules(4) or {}).holds_back(id, n, next_job, state) then
    local queue, timeout_s = unpack(redis.call('HMGET', job_key(job), 'origin', 'timeout'))
    make_job(next_job, queue or redis.call('HGET', state_key(id), n .. 'q'), 'deferred', timeout_s or '180', '')
    redis.call('HSET', state_key(id), n .. 'j', serial + 1)
    return false
end
redis.call('ZADD', 'fd:workers', now_ms + lease, worker)
redis.call('SADD', 'fd:held:' .. worker, job)
return enclose({hand_over(worker, redis.call('HGET', state_key(id), n .. 'q'), job, id, n, state)})[1]
