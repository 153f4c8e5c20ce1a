-- include: held, ids, keys, lanes, requeue, states
-- Checks deliveries that a survey found adrift (in flight, but with no job that anybody will run), and gives those that
-- still are a new job if asked to. The new job has the next serial, so an old job that turns up after all does nothing.
--
-- ARGV: the time as RQ writes it, 'look' or 'repair', then the ids of the jobs that should exist
-- Returns the jobs whose deliveries were adrift when the call began.

-- How far from each end of a queue a job is searched. The caller has read the whole queue shortly before; a job that
-- came back meanwhile is near one of its ends.
local NEAR = 20000
local TIMEOUT_S = '180'
local iso, mends = ARGV[1], ARGV[2] == 'repair'

local function in_queue(queue, job)
    if not queue then return false end
    local key = queue_key(queue)
    return redis.call('LPOS', key, job, 'MAXLEN', NEAR) or redis.call('LPOS', key, job, 'RANK', -1, 'MAXLEN', NEAR)
end

local function is_live(job, queue, letter, worker, held)
    if letter == 'h' then return is_held_rightly(unpack(held, 1, 6)) end
    if letter == 'q' then
        return in_queue(queue, job) or in_queue(ISOLATED, job) or in_queue(redis.call('HGET', job_key(job), 'origin'), job)
    elseif letter == 'w' then
        return redis.call('ZSCORE', scheduled_key(queue), job) or redis.call('ZSCORE', scheduled_key(ISOLATED), job)
    end
    return worker and redis.call('SISMEMBER', 'fd:held:' .. worker, job) == 1 and redis.call('ZSCORE', 'fd:workers', worker)
end

local function mend(id, n, serial, job, state)
    if state[1] == 'h' and state[8] == 'o' and state[9] then
        redis.call('ZADD', lane_key(state[9]), 'NX', id_ms(id), id .. '-' .. n)
        return advance(state[9], iso)
    end
    local queue = state[6] and ISOLATED or state[3]
    local timeout_s = redis.call('HGET', job_key(job), 'timeout') or TIMEOUT_S
    if state[4] then let_go(state[4], queue, job) end
    if state[1] == 'h' then redis.call('ZREM', waiting_key(gate_of(state[7], state[8], state[10])), id .. '-' .. n) end
    redis.call('HDEL', state_key(id), n .. 'o', n .. 'w')
    redis.call('DEL', job_key(job))
    requeue(id, n, serial + 1, queue, tonumber(state[5] or 0), timeout_s, iso)
end

local found = {}
for i = 3, #ARGV do
    local job = ARGV[i]
    local id, n, serial = parse_job(job)
    local state = redis.call('HMGET', state_key(id), n .. 's', n .. 'j', n .. 'q', n .. 'o', n .. 't', n .. 'i', n .. 'r',
        n .. 'w', n .. 'l', n .. 'u')
    local is_current = state[1] and not FINAL[state[1]] and tonumber(state[2] or 1) == serial
    local held = {id, n, state[7], state[8], state[9], state[10]}
    if is_current and not is_live(job, state[3], state[1], state[4], held) then
        found[#found + 1] = job
        if mends then mend(id, n, serial, job, state) end
    end
end
return found
