-- include: counters, finish, ids, keys, requeue, time
-- Takes deliveries back that a dead worker held. Those that it was running are run again alone, each in a process of
-- its own: so a delivery that kills its process is found, and the others are not blamed. One whose process dies three
-- times while it runs alone is poison, and dead.
--
-- ARGV: worker ('' for the one whose lease ended first), jobs at most, 'known' when the pairs that follow are exactly
-- the
--   jobs that it was running, or 'unknown' when it may have run any that it held; then the pairs: job id, Unix ms at which
--   it began ('' if nobody knows)
-- Returns the worker, jobs that go back to their queues unrun, jobs to be run alone, poisoned jobs, and 1 when the
-- worker still holds some (else 0, and its lease is removed); false when no lease is over.

local POISON = 3
local worker, most, known = ARGV[1], tonumber(ARGV[2]), ARGV[3] == 'known'
if worker == '' then
    worker = redis.call('ZRANGEBYSCORE', 'fd:workers', '-inf', now_ms, 'LIMIT', 0, 1)[1]
    if not worker then return false end
end
local was_running = {}
for i = 4, #ARGV, 2 do was_running[ARGV[i]] = ARGV[i + 1] end

local function record_death(job, id, n, poisoned)
    local key = state_key(id)
    local number = redis.call('HINCRBY', key, n .. 'a', 1)
    redis.call('HINCRBY', key, n .. 'c', 1)
    redis.call('RPUSH', 'fd:a:' .. id .. '-' .. n, cjson.encode({
        number = number, outcome = 'crashed', ended_ms = now_ms, worker = worker,
        started_ms = tonumber(was_running[job] or ''),
        error = poisoned and 'poison: its process died ' .. POISON .. ' times while it ran alone'
            or 'the process that ran it died',
    }))
end

local unrun, alone, poisoned = {}, {}, {}
local jobs = redis.call('SRANDMEMBER', 'fd:held:' .. worker, most)
for _, job in ipairs(jobs) do
    local id, n, serial = parse_job(job)
    local key = id and state_key(id)
    local state = id and redis.call('HMGET', key, n .. 's', n .. 'j', n .. 'o', n .. 'q', n .. 'i', n .. 'k', n .. 'l', n .. 'g')
        or {}
    local queue = redis.call('HGET', job_key(job), 'origin') or state[4]
    let_go(worker, queue or '', job)
    if state[1] == 'x' and state[3] == worker and tonumber(state[2] or 1) == serial then
        local timeout_s = redis.call('HGET', job_key(job), 'timeout') or '180'
        redis.call('HDEL', key, n .. 'o')
        redis.call('DEL', job_key(job))
        local deaths = tonumber(state[6] or 0)
        if known and not was_running[job] then
            requeue(id, n, serial + 1, queue, now_ms, timeout_s, '', true)
            unrun[#unrun + 1] = job
        elseif state[5] and deaths + 1 >= POISON then
            record_death(job, id, n, true)
            finish(id, n, 'd', (state[7] or state[8]) and {l = state[7], g = state[8]})
            poisoned[#poisoned + 1] = job
        else
            record_death(job, id, n, false)
            if state[5] then redis.call('HINCRBY', key, n .. 'k', 1) end
            redis.call('HSET', key, n .. 'i', 1)
            redis.call('HDEL', key, n .. 'b')
            requeue(id, n, serial + 1, ISOLATED, now_ms, timeout_s, '')
            alone[#alone + 1] = job
        end
    end
end
local left = redis.call('EXISTS', 'fd:held:' .. worker)
if left == 0 then redis.call('ZREM', 'fd:workers', worker) end
write_counts()
return {worker, unrun, alone, poisoned, left}
