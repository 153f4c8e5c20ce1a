-- include: counters, dates, handover, ids, jobs, keys, lists, rules, time
-- on demand: gates
-- Claims up to *max* deliveries for a worker: first it queues those whose time has come, then it takes from the queues
-- in their order. At every moment a delivery is either in a queue or with one worker, never in neither.
--
-- ARGV: worker, max, rules of the routes (rules.lua), the number of routes that the worker cannot run and their names,
--   the number of routes that an earlier call asked about and the worker can run, and their names, then its queues, the most
--   urgent first
-- Returns false when the worker's lease is over (it must take a new one under a new name), else
--   Unix ms at which the next waiting delivery is due (0: none waits), number of foreign jobs refused, routes about which
--   the worker must say with its next call whether it can run them, and for each claimed delivery:
--   job id, queue, route, attempts, failures, unknown since, deaths, origin, superseded (1/0), envelope
-- Jobs of anybody else are not run: they go to RQ's registry of failed jobs, where they stay visible. A delivery that
-- the worker cannot run is parked for one that can; but one that nobody could run for an hour is claimed, to be ended.

local DUE_AT_ONCE = 256
local UNKNOWN_FOR_MS = 3600000
local ROUNDS = 8  -- a queue full of stale and foreign jobs is cleared over several calls, not in one that blocks the server
local worker, max = ARGV[1], tonumber(ARGV[2])
if not redis.call('ZSCORE', 'fd:workers', worker) then return false end
if redis.call('EXISTS', 'rq:suspended') == 1 then return {0, 0, {}} end

local rules, cannot, can, first_queue
rules, first_queue = read_rules(3)
cannot, first_queue = read_names(first_queue)
can, first_queue = read_names(first_queue)

local function serves(queue)
    for i = first_queue, #ARGV do
        if ARGV[i] == queue then return true end
    end
end

local gates = (rules or cannot or redis.call('EXISTS', 'fd:gates') == 1)
    and open_gates(rules or {}, {room = max, cannot = cannot or {}, can = can or {}, serves = serves})
local next_due, asked, refused = 0, {}, 0
if gates then next_due, asked = gates.look() end

-- A delivery that is due goes to the front of its queue: its event came earlier than those there, and behind a backlog
-- a retry would run too late to show that its target is up again.
local function make_due(queue)
    local key = scheduled_key(queue)
    local due = redis.call('ZRANGEBYSCORE', key, '-inf', now_ms / 1000, 'LIMIT', 0, DUE_AT_ONCE)
    local ours = {}
    for _, job in ipairs(due) do
        redis.call('ZREM', key, job)
        local id, n, serial = parse_job(job)
        local waits = not id  -- somebody else's job goes where RQ's own scheduler would put it
        if id then
            local state = redis.call('HMGET', state_key(id), n .. 's', n .. 'j')
            waits = state[1] == 'w' and tonumber(state[2] or 1) == serial
            if waits then
                redis.call('HSET', state_key(id), n .. 's', 'q')
                redis.call('HDEL', state_key(id), n .. 't', n .. 'w')
            end
        end
        if waits then
            if redis.call('EXISTS', job_key(job)) == 1 then
                -- It waits for a worker from now on. The age of a queue is measured by when its jobs were created.
                redis.call('HSET', job_key(job), 'status', 'queued', 'created_at', rq_time(tonumber(clock[1])))
            end
            if id then ours[#ours + 1] = job else redis.call('RPUSH', queue_key(queue), job) end
        end
    end
    for at = #ours, 1, -1 do redis.call('LPUSH', queue_key(queue), ours[at]) end
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then
        local at = math.ceil(first[2] * 1000)
        if next_due == 0 or at < next_due then next_due = at end
    end
end

local function refuse(queue, job)
    refused = refused + 1
    if redis.call('EXISTS', job_key(job)) == 1 then
        redis.call('HSET', job_key(job), 'status', 'failed', 'exc_info', 'refused: not a delivery of Frontdesk')
        redis.call('ZADD', 'rq:failed:' .. queue, clock[1] + 31536000, job)
    end
end

local claimed, held, started, parked = {}, {}, {}, {}

local function take(queue, job)
    local id, n, serial = parse_job(job)
    if not id then return refuse(queue, job) end
    local state = read_delivery(id, n)
    if not state[1] then return refuse(queue, job) end
    if not may_run(state, serial) then
        redis.call('DEL', job_key(job))  -- stale: its delivery went on without it
        return
    end
    if cannot and cannot[state[3]] and now_ms - (state[6] or now_ms) <= UNKNOWN_FOR_MS then
        gates.park(id, n, job, state[3])
        parked[queue] = true
        return
    end
    if gates and gates.holds_back(id, n, job, state) then return end
    local wip = 'rq:wip:' .. queue
    append(started, wip, '+inf')
    append(started, wip, job .. ':' .. worker)
    append(held, 'fd:held:' .. worker, job)
    claimed[#claimed + 1] = hand_over(worker, queue, job, id, n, state)
end

-- When a damaged value stops this script, no other delivery may get lost: the jobs behind it go back into the queue,
-- and those handed over are noted as held, so that the worker finds out that it has them.
local function give_up(queue, jobs, first, why)
    for at = #jobs, first, -1 do redis.call('LPUSH', queue_key(queue), jobs[at]) end
    with_each('ZADD', started)
    with_each('SADD', held)
    error(why, 0)
end

for i = first_queue, #ARGV do make_due(ARGV[i]) end
for i = first_queue, #ARGV do
    local queue = ARGV[i]
    local rounds = 0
    while #claimed < max and rounds < ROUNDS do
        local jobs = redis.call('LPOP', queue_key(queue), max - #claimed)
        if not jobs then break end
        for at, job in ipairs(jobs) do
            local is_taken, why = pcall(take, queue, job)
            if not is_taken then give_up(queue, jobs, at + 1, why) end
        end
        rounds = rounds + 1
    end
    if redis.call('LLEN', queue_key(queue)) > 0 then
        wake(queue)
    else
        redis.call('DEL', 'fd:wake:' .. queue)
    end
end
if cannot then
    for queue in pairs(parked) do wake_all(queue) end
    gates.look_at_unseen()
end
with_each('ZADD', started)
with_each('SADD', held)
write_counts()
local reply = {next_due, refused, asked}
for i, one in ipairs(enclose(claimed)) do reply[i + 3] = one end
return reply
