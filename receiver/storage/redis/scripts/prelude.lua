-- What the scripts share. It is put in front of each of them; the layout is explained in storage/keys.py.

local ISOLATED = 'frontdesk-isolated'
local WAKE_TOKENS = 16        -- enough for every idle worker to be woken; each wakes the next while work is left
local HOUR_MS = 3600000

local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function envelope_key(id) return 'fd:e:' .. id end
local function state_key(id) return 'fd:d:' .. id end
local function job_key(job) return 'rq:job:' .. job end
local function queue_key(queue) return 'rq:queue:' .. queue end
local function scheduled_key(queue) return 'rq:scheduled:' .. queue end
local function lane_key(lane) return 'fd:o:' .. lane end
local function waiting_key(gate) return 'fd:w:' .. gate end
local function portions_key(id) return 'fd:p:' .. id end

-- The gate before which delivery n of a route waits: that of the route, or that of the key its limits count by.
local function gate_of(route, waits, per)
    if waits == 'l' or waits == 'c' then return route .. '/' .. (per or '') end
    return route
end

-- The time in an id, in Unix milliseconds. Nine base 36 digits are far below 2^53.
local function id_ms(id) return tonumber(string.sub(id, 1, 9), 36) end
local function id_hour(id) return math.floor(id_ms(id) / HOUR_MS) end

-- event id, delivery number, serial of a job id of ours; nil for a job of anybody else.
local function parse_job(job)
    local id, n, serial = string.match(job, '^(%w+)%-(%d+)%-(%d+)$')
    if id and #id == 20 then return id, tonumber(n), tonumber(serial) end
end

-- event id and delivery number of a delivery's id, as lanes and gates hold it.
local function parse_delivery(delivery)
    local id, n = string.match(delivery, '^(%w+)%-(%d+)$')
    if id and #id == 20 then return id, tonumber(n) end
end

-- Counters are summed here and written once, at the end of a script. An hour whose counters move is no longer sealed.
local sums = {}
local function count(hour, what, by)
    local of_hour = sums[hour]
    if not of_hour then of_hour = {}; sums[hour] = of_hour end
    of_hour[what] = (of_hour[what] or 0) + (by or 1)
end
local function write_counts()
    for hour, of_hour in pairs(sums) do
        for what, by in pairs(of_hour) do
            -- A counter that is no number begins anew, and the audit finds what it lacks: no script fails after its writes.
            local sum = redis.pcall('HINCRBY', 'fd:c:' .. hour, what, by)
            if type(sum) == 'table' then redis.call('HSET', 'fd:c:' .. hour, what, by) end
        end
        redis.call('ZADD', 'fd:unsealed', hour, hour)
    end
end

-- Ids to append, by list, so that each list is written once.
local function append(lists, key, value)
    local list = lists[key]
    if list then list[#list + 1] = value else lists[key] = {value} end
end

-- An RQ job that any RQ worker with the JSON serializer can run. Every value stays under 64 bytes: a longer one would
-- turn the hash from a listpack into a table of more than twice the size.
local function make_job(job, queue, status, timeout_s, iso)
    redis.call('HSET', job_key(job), 'data', '["workers.deliver.run",null,["' .. job .. '"],{}]', 'origin', queue,
        'status', status, 'timeout', timeout_s, 'result_ttl', '0', 'created_at', iso, 'description', 'run')
end

local function announce_queue(queue)
    redis.call('SADD', 'rq:queues', queue_key(queue))
    redis.call('SADD', 'fd:queues', queue)
end

local function wake(queue)
    if redis.call('LLEN', 'fd:wake:' .. queue) < WAKE_TOKENS then redis.call('LPUSH', 'fd:wake:' .. queue, 1) end
end

-- Wakes every idle worker of a queue: not each of them can run what is there.
local function wake_all(queue)
    for _ = redis.call('LLEN', 'fd:wake:' .. queue) + 1, WAKE_TOKENS do redis.call('LPUSH', 'fd:wake:' .. queue, 1) end
end

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

-- Takes a job out of a worker's hands. RQ's own entry for it goes too.
local function let_go(worker, queue, job)
    redis.call('SREM', 'fd:held:' .. worker, job)
    redis.call('ZREM', 'rq:wip:' .. queue, job .. ':' .. worker)
end

-- Does one command to *key* with all of *values*, in portions: Lua's unpack takes some 8,000 of them. Returns the last
-- reply, 0 when there are no values.
local PORTION = 4000  -- even, for those that come in pairs
local function send(command, key, values)
    local reply = 0
    for from = 1, #values, PORTION do
        reply = redis.call(command, key, unpack(values, from, math.min(from + PORTION - 1, #values)))
    end
    return reply
end

-- Does one command to each key of *lists*, with all that its list holds.
local function with_each(command, lists)
    for key, values in pairs(lists) do send(command, key, values) end
end

local FINAL = {s = 'succeeded', d = 'dead', c = 'discarded'}

-- Whether the delivery of that id leads its lane: it is in flight there, and waits for nobody in it.
local function leads(lane, delivery)
    local id, n = parse_delivery(delivery)
    if not id then return false end
    local state = redis.call('HMGET', state_key(id), n .. 's', n .. 'l', n .. 'w')
    return state[1] and not FINAL[state[1]] and state[2] == lane and not (state[1] == 'h' and state[3] == 'o')
end

-- Whether a held delivery stands where somebody will let it go: in a lane behind another that leads, or that will be looked
-- at, or before a gate that will be.
local function is_held_rightly(id, n, route, waits, lane, per)
    local delivery = id .. '-' .. n
    if waits == 'o' then
        if not lane or not redis.call('ZSCORE', lane_key(lane), delivery) then return false end
        if redis.call('ZSCORE', 'fd:lanes', lane) then return true end
        local first = redis.call('ZRANGE', lane_key(lane), 0, 0)[1]
        return first ~= delivery and leads(lane, first)
    end
    local gate = gate_of(route, waits, per)
    return redis.call('ZSCORE', waiting_key(gate), delivery) and redis.call('ZSCORE', 'fd:gates', gate)
end

-- The newest events of all entities are spread over 4096 small hashes, which stay listpacks up to two million entities.
local function entity_key(entity) return 'fd:n:' .. tonumber(string.sub(redis.sha1hex(entity), 1, 3), 16) end

local function superseded(id, entity)
    if not entity then return 0 end
    local newest = redis.call('HGET', entity_key(entity), entity)
    return newest and newest > id and 1 or 0
end


-- In a list of ids, what stands in the place of one that is being taken out (turn.lua), and where release 0.2.0 began to turn
-- the list round. No reader of this release sees the former.
local TURNING_MARK = '-'

-- All fields of an event's state, by name; nil when there is none. One that does not tell how many deliveries there are
-- `is_damaged` and has none: the audit names it, and retention leaves it.
local MOST_MADE = 1000000
local function read_state(id)
    local flat = redis.call('HGETALL', state_key(id))
    if #flat == 0 then return nil end
    local state = {}
    for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
    local made = tonumber(state.n)
    if not made or made < 0 or made > MOST_MADE then state.n, state.is_damaged = '0', true end
    return state
end

-- The bytes of the store that a quarantined event takes by an envelope of *size* bytes: an allocator rounds up by a quarter
-- at most; keys, state and the places in five lists were measured as 380 (Valkey 9) to 495 bytes (Redis 7.0).
local function quarantine_cost(size) return math.ceil(size * 1.25) + 512 end

-- Gives back what a quarantined event takes of the bytes that quarantine may hold. An event of release 0.2.0 has not noted
-- what it takes, and was counted by its envelope alone. With the last event the counts begin anew: releases that run side
-- by side take off less than this one has put on.
local function leave_quarantine(id, state)
    if redis.call('ZCARD', 'fd:x:quarantined') <= 1 then
        redis.call('DEL', 'fd:quarantine')
        redis.call('HSET', 'fd:quarantine', 'total', 0)
        return
    end
    local size = tonumber(state.c) or redis.call('STRLEN', envelope_key(id))
    if redis.call('HINCRBY', 'fd:quarantine', 'total', -size) < 0 then redis.call('HSET', 'fd:quarantine', 'total', 0) end
    if state.h and redis.call('HINCRBY', 'fd:quarantine', state.h, -size) <= 0 then
        redis.call('HDEL', 'fd:quarantine', state.h)
    end
end

-- Counts that the envelope of a quarantined event is about to be replaced by one of *size* bytes.
local function resize_quarantined(id, hook, size)
    local more = size - redis.call('STRLEN', envelope_key(id))
    local counted = redis.call('HGET', state_key(id), 'c')
    if counted then
        more = quarantine_cost(size) - counted
        redis.call('HSET', state_key(id), 'c', quarantine_cost(size))
    end
    redis.call('HINCRBY', 'fd:quarantine', 'total', more)
    if hook then redis.call('HINCRBY', 'fd:quarantine', hook, more) end
end

-- What a worker needs to know of delivery n: state, serial, route, attempts, failures, unknown since, deaths, origin,
-- entity; and for the gates: what it may pass.
local function read_delivery(id, n)
    return redis.call('HMGET', state_key(id), n .. 's', n .. 'j', n .. 'r', n .. 'a', n .. 'f', n .. 'b', n .. 'c', n .. 'm',
        'y', n .. 'g')
end

-- Whether the job of that serial is the delivery's current one and waits to be run. A stock RQ scheduler moves jobs into
-- their queue without telling us, so one that waited for its time may be there already.
local function may_run(state, serial)
    return (state[1] == 'q' or state[1] == 'w') and tonumber(state[2] or 1) == serial
end

-- What a worker is told of a delivery, but for the envelope, which comes last.
local function describe(queue, job, id, state)
    return {
        job, queue, state[3], state[4] or '0', state[5] or '0', state[6] or '0', state[7] or '0', state[8] or '',
        superseded(id, state[9]),
    }
end

-- Puts a delivery into a worker's hands, and returns what the worker is told of it. That the worker holds it
-- (`fd:held:`) is for the caller to note: it may be one of many.
local function hand_over(worker, queue, job, id, n, state)
    if state[1] == 'w' then
        redis.call('ZREM', scheduled_key(queue), job)
        redis.call('HDEL', state_key(id), n .. 't', n .. 'w')
    end
    redis.call('HSET', state_key(id), n .. 's', 'x', n .. 'o', worker)
    return describe(queue, job, id, state)
end

-- Puts the envelopes behind what workers are told.
local function enclose(told)
    if #told == 0 then return told end
    for from = 1, #told, PORTION do
        local names = {}
        for i = from, math.min(from + PORTION - 1, #told) do
            names[#names + 1] = envelope_key(string.sub(told[i][1], 1, 20))
        end
        for i, envelope in ipairs(redis.call('MGET', unpack(names))) do told[from + i - 1][10] = envelope or '' end
    end
    return told
end
