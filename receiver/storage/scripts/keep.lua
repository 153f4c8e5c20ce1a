-- Keeps a batch of events: deduplicates, stores, indexes, counts, makes their deliveries and enqueues them. All or, when
-- the arguments are malformed, nothing; a script error would keep partial writes, so everything is read before the first.
--
-- ARGV: the time as RQ writes it, bytes that quarantine may hold in all and for one hook, for how many ms the id of a
--   duplicate stays resolvable (0 for requests that wait for the answer and are told the first id), then for each event
--   id, kind ('r', 'q', or 'p' for one that was quarantined under this id and is put right now), action, business,
--   entity, fingerprint, window in ms, envelope, routes in the shadow (joined by commas), number of deliveries,
--   and for each delivery: route, queue, RQ timeout in seconds, terms ('' for none, else as flow.lua reads them)
-- Returns for each event 'a' accepted, 'q' quarantined, 'f' not kept because quarantine is full, or 'd' followed by the id
-- that was kept first; of kind 'p' also 'n': it is not quarantined (any more).
-- Idempotent by id: an event that is there already is answered as it was and not touched.

local iso = ARGV[1]
local quarantine_limit, hook_limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local alias_ms = tonumber(ARGV[4])
if not alias_ms then return redis.error_reply('ERR keep: malformed header') end
local events, state_keys = {}, {}
local at = 5
while at <= #ARGV do
    local event = {
        id = ARGV[at], kind = ARGV[at + 1], action = ARGV[at + 2], business = ARGV[at + 3], entity = ARGV[at + 4],
        fingerprint = ARGV[at + 5], window = tonumber(ARGV[at + 6]), envelope = ARGV[at + 7], shadow = ARGV[at + 8],
        deliveries = {},
    }
    event.made = ARGV[at + 9]
    at = at + 10
    for n = 1, tonumber(event.made) do
        event.deliveries[n] = {route = ARGV[at], queue = ARGV[at + 1], timeout_s = ARGV[at + 2], terms = ARGV[at + 3]}
        if not ARGV[at + 3] then return redis.error_reply('ERR keep: arguments end inside an event') end
        at = at + 4
    end
    event.ms = #event.id == 20 and id_ms(event.id)
    if not event.ms or not event.window then return redis.error_reply('ERR keep: malformed event') end
    event.hour = string.format('%d', math.floor(event.ms / HOUR_MS))
    events[#events + 1] = event
    state_keys[#events] = state_key(event.id)
end

-- Whether an event is there already. Nearly always none of a batch is, which one call tells; the batch itself may hold
-- one twice.
local stored = {}
local none_is_there = #events > 0 and redis.call('EXISTS', unpack(state_keys)) == 0
local function is_there(event)
    return stored[event.id] or (not none_is_there and redis.call('EXISTS', state_key(event.id)) == 1)
end

-- The event of the same fingerprint that was kept less than a window away, if any; else claims the fingerprint. Events
-- of one generation of a window are always that near; of those beside it the times are compared. The next one is looked
-- at for events that waited in a spool, and for as long as clocks may differ.
local function first_of(event)
    if event.fingerprint == '' then return nil end
    local a, b = string.byte(event.fingerprint, 1, 2)
    local bucket = string.format(':%d', a * 4 + math.floor(b / 64))
    local field = string.sub(event.fingerprint, 2)
    local generation = math.floor(event.ms / event.window)
    local stem = 'fd:f:' .. event.window .. ':'
    local function near(g)
        local first = redis.call('HGET', stem .. g .. bucket, field)
        return first and math.abs(event.ms - id_ms(first)) < event.window and first
    end
    local first = near(generation - 1)
    if not first and (generation + 1) * event.window < now_ms + HOUR_MS then first = near(generation + 1) end
    if first then return first end
    local key = stem .. generation .. bucket
    if redis.call('HSETNX', key, field, event.id) == 0 then return redis.call('HGET', key, field) end
    if redis.call('HLEN', key) == 1 then redis.call('PEXPIRE', key, event.window * 3) end
    return nil
end

-- An event from a spool was answered under its own id, which therefore has to lead to the first. It may come again, when
-- the reply to a drained batch was lost, and is then not counted again.
local function is_new_duplicate(event, first)
    if alias_ms == 0 then return true end
    return redis.call('SET', 'fd:alias:' .. event.id, first, 'NX', 'PX', alias_ms)
end

local function remember_entity(event)
    local key = entity_key(event.entity)
    local newest = redis.call('HGET', key, event.entity)
    if not newest or newest < event.id then redis.call('HSET', key, event.entity, event.id) end
end

local envelopes, indexes, queues, received, hours = {}, {}, {}, {}, {}

local place

-- Makes the deliveries of an event, and returns how many of them ended at once.
local function make_deliveries(event, state)
    local seen, ended, stem = {}, 0, 'fd:i:' .. event.hour .. ':r:'
    for n, delivery in ipairs(event.deliveries) do
        local job, begins = event.id .. '-' .. n .. '-1', 'q'
        state[#state + 1] = n .. 'r'; state[#state + 1] = delivery.route
        state[#state + 1] = n .. 'q'; state[#state + 1] = delivery.queue
        if delivery.terms == '' then
            state[#state + 1] = n .. 's'; state[#state + 1] = 'q'
        else
            place = place or open_lanes()
            begins = place(event.id, n, delivery, event.ms, true, state)
        end
        if begins == 'q' then
            make_job(job, delivery.queue, 'queued', delivery.timeout_s, iso)
            append(queues, delivery.queue, job)
        elseif begins == 'w' then
            make_job(job, delivery.queue, 'scheduled', delivery.timeout_s, iso)
            queues[delivery.queue] = queues[delivery.queue] or {}
        elseif begins == 'c' then
            ended = ended + 1
        end
        if not seen[delivery.route] then append(indexes, stem .. delivery.route, event.id) end
        seen[delivery.route] = true
    end
    return ended
end

-- What a route in the shadow would have got is found and counted under its name, and is no delivery.
local function note_shadow(event, state)
    if event.shadow == '' then return end
    state[#state + 1] = 'w'; state[#state + 1] = event.shadow
    for route in string.gmatch(event.shadow, '[^,]+') do
        append(indexes, 'fd:i:' .. event.hour .. ':r:' .. route, event.id)
    end
end

local function store(event)
    local hour, made = event.hour, #event.deliveries
    local state = {'n', event.made, 'p', event.made}
    if event.entity ~= '' then state[5] = 'y'; state[6] = event.entity end
    local standing = event.kind == 'q' and 'quarantined' or made == 0 and 'unrouted'
    if standing then
        state[#state + 1] = 'k'; state[#state + 1] = string.sub(standing, 1, 1)
        state[#state + 1] = 'z'; state[#state + 1] = now_ms
        if event.kind == 'q' then state[#state + 1] = 'h'; state[#state + 1] = event.business .. '/' .. event.action end
        redis.call('ZADD', 'fd:x:' .. standing, event.ms, event.id)
    end
    local ended = make_deliveries(event, state)
    note_shadow(event, state)
    if ended > 0 then
        state[4] = made - ended
        count(hour, 'd_discarded', ended)
        if ended == made then state[#state + 1] = 'z'; state[#state + 1] = now_ms end
    end
    stored[event.id] = true
    envelopes[#envelopes + 1] = envelope_key(event.id); envelopes[#envelopes + 1] = event.envelope
    redis.call('HSET', state_key(event.id), unpack(state))
    if event.entity ~= '' then remember_entity(event) end
    if event.kind ~= 'p' then
        local stem = 'fd:i:' .. hour
        append(indexes, stem, event.id)
        append(indexes, stem .. ':a:' .. event.action, event.id)
        append(indexes, stem .. ':b:' .. event.business, event.id)
        hours[hour] = true
        received[event.business .. '/' .. event.action] = event.ms
        count(hour, 'accepted')
    end
    count(hour, standing or 'routed')
    if made > 0 then count(hour, 'd_created', made) end
end

local function fits_quarantine(event)
    local hook = event.business .. '/' .. event.action
    local held = redis.call('HMGET', 'fd:quarantine', 'total', hook)
    local size = #event.envelope
    if (tonumber(held[1]) or 0) + size > quarantine_limit then return false end
    if (tonumber(held[2]) or 0) + size > hook_limit then return false end
    redis.call('HINCRBY', 'fd:quarantine', 'total', size)
    redis.call('HINCRBY', 'fd:quarantine', hook, size)
    return true
end

-- Makes a quarantined request the event that it was all along: accepted, indexed and counted it is already.
local function release(event)
    local state = read_state(event.id)
    if not state or state.k ~= 'q' then return 'n' end
    local first = first_of(event)
    if first and first ~= event.id then return 'd' .. first end
    leave_quarantine(event.id, state)
    redis.call('ZREM', 'fd:x:quarantined', event.id)
    redis.call('DEL', state_key(event.id))
    count(event.hour, 'quarantined', -1)
    store(event)
    return 'a'
end

local replies = {}
for i, event in ipairs(events) do
    local reply = event.kind == 'q' and 'q' or 'a'
    if event.kind == 'p' then
        reply = release(event)
    elseif not is_there(event) then
        local first = first_of(event)
        if first and first ~= event.id then
            reply = 'd' .. first
            if is_new_duplicate(event, first) then count(event.hour, 'duplicates') end
        elseif event.kind == 'q' and not fits_quarantine(event) then
            reply = 'f'
        else
            store(event)
        end
    end
    replies[i] = reply
end

-- A batch has at most 256 events, so no list here comes near the 8,000 values that unpack can take.
if #envelopes > 0 then redis.call('MSET', unpack(envelopes)) end
with_each('RPUSH', indexes)
for queue, jobs in pairs(queues) do
    local length = 0
    for from = 1, #jobs, 4000 do
        length = redis.call('RPUSH', queue_key(queue), unpack(jobs, from, math.min(from + 3999, #jobs)))
    end
    if length <= #jobs then announce_queue(queue) end  -- it was empty, and nobody may have heard of it
    wake(queue)
end
for hook, ms in pairs(received) do redis.call('HSET', 'fd:received', hook, ms) end
for hour in pairs(hours) do
    -- A store that lost everything while receivers run is of their layout: events without one would be the first release's.
    if redis.call('ZADD', 'fd:hours', hour, hour) == 1 then redis.call('SET', 'fd:layout', 3, 'NX') end
end
write_counts()
return replies
