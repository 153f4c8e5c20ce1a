-- include: counters, entities, ids, indexes, jobs, keys, lists, new_delivery, quarantine, states, time
-- on demand: changes, lane_placement, timed_placement, leftovers
-- Stores a batch of events: recognises duplicates, writes, indexes and counts the others, makes their deliveries and
-- queues them.
--
-- Redis does not undo what a script wrote before an error. So all arguments are checked before the first write, and the
-- envelopes are written last: an event is kept when both its state and its envelope are there. A state without an
-- envelope was left by a call that failed in the middle. It is no event yet: the next call with its id removes what is
-- left (leftovers.lua) and stores the event.
--
-- ARGV: the time as RQ writes it, bytes that quarantine may hold in all and for one hook, for how many ms the id of a
--   duplicate leads to that of the first event (0 for requests that wait for the answer: they are told the first id), then
--   for each event
--   id, kind ('r' to be routed, 'q' to be quarantined, 'p' quarantined under this id and released now, 'm' stored already,
--   to get its next portion of deliveries), action, business, entity, its bucket, fingerprint, window in ms, envelope,
--   routes in the shadow that match (joined by commas), number of portions of further deliveries, number of deliveries,
--   then the portions (each a JSON array of deliveries, to be made by later calls of kind 'm'), and for each delivery:
--   route, queue, RQ timeout in seconds, terms ('' for none, else as new_delivery.lua reads them)
-- Returns for each event 'a' accepted, 'q' quarantined, 'f' not kept because quarantine is full, or 'd' followed by the
-- id that was kept first; of kind 'p' also 'n': it is not quarantined (any more); of kind 'm' only 'm', followed by the
-- number of portions that are left. A call may be repeated: an event that is there already gets the answer that it got
-- before, and is not touched.

local iso = ARGV[1]
local quarantine_limit, hook_limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local alias_ms = tonumber(ARGV[4])
if not (quarantine_limit and hook_limit and alias_ms) then return redis.error_reply('ERR keep: malformed header') end
local events, state_keys = {}, {}
local at = 5
local hour_of = {}  -- nearly all of a call are of one hour
while at <= #ARGV do
    local id, further, made = ARGV[at], tonumber(ARGV[at + 10]), tonumber(ARGV[at + 11])
    local ms = #id == 20 and id_ms(id)
    local is_about = ARGV[at + 4] == '' or tonumber(ARGV[at + 5])
    if not (ms and further and made and is_about) then return redis.error_reply('ERR keep: malformed event') end
    local hour = math.floor(ms / HOUR_MS)
    hour_of[hour] = hour_of[hour] or string.format('%d', hour)
    -- All fields at once, and sixteen at most: a table that grows is made again.
    local event = {
        id = id, kind = ARGV[at + 1], action = ARGV[at + 2], business = ARGV[at + 3], entity = ARGV[at + 4],
        bucket = ARGV[at + 5], fingerprint = ARGV[at + 6], window = tonumber(ARGV[at + 7]), envelope = ARGV[at + 8],
        shadow = ARGV[at + 9], deliveries = {}, ms = ms, hour = hour_of[hour],
    }
    if event.fingerprint ~= '' and not (#event.fingerprint > 2 and event.window and event.window > 0) then
        return redis.error_reply('ERR keep: malformed fingerprint')
    end
    at = at + 12
    if further > 0 then event.further = {at, at + further - 1} end
    at = at + further
    for n = 1, made do
        local delivery = new_delivery(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
        if not delivery then return redis.error_reply('ERR keep: malformed delivery') end
        event.deliveries[n] = delivery
        if delivery.ending == 'w' then event.is_perhaps_nothing = true end
        at = at + 4
    end
    events[#events + 1] = event
    state_keys[#events] = state_key(id)
end

-- What the calls of kind 'm' make is read here, before anything is written.
for _, event in ipairs(events) do
    if event.kind == 'm' then
        local portion = redis.call('LINDEX', portions_key(event.id), 0)
        local state = redis.call('HMGET', state_key(event.id), 'n', 'z')
        for n, one in ipairs(portion and state[1] and cjson.decode(portion) or {}) do
            event.deliveries[n] = new_delivery(unpack(one, 1, 4))
            if not event.deliveries[n] then return redis.error_reply('ERR keep: malformed portion') end
        end
        event.first = (tonumber(state[1]) or 0) + 1
    end
end

-- Numbers as texts: Lua takes a microsecond to write one, and an event has some.
local texts = {}
local function text(number)
    texts[number] = texts[number] or string.format('%d', number)
    return texts[number]
end

local envelopes, indexes, listed, queues, received, hours = {}, {}, {}, {}, {}, {}

-- Whether an event is kept already. Nearly always none of a batch has a state, which one call tells; the batch itself
-- may hold one twice. One that is listed lacks nothing but its envelope: its list was written after all the rest.
local stored = {}
local none_is_there = #events > 0 and redis.call('EXISTS', unpack(state_keys)) == 0
local function is_there(event)
    if stored[event.id] then return true end
    if none_is_there or redis.call('EXISTS', state_key(event.id)) == 0 then return false end
    if redis.call('EXISTS', envelope_key(event.id)) == 1 then return true end
    if redis.call('LPOS', INDEX .. event.hour, event.id) then
        stored[event.id] = true
        envelopes[#envelopes + 1] = envelope_key(event.id); envelopes[#envelopes + 1] = event.envelope
        return true
    end
    open_leftovers()(event.id, iso)
    return false
end

-- Fingerprints are in hashes: one for each generation (a stretch of time as long as the window) and bucket. Two
-- questions are asked once for the whole call, not for each event: whether the generation before holds anything, and
-- whether all hashes of this generation exist (a new one must be given its expiry). If the events are not all of one
-- generation, neither is assumed.
local before, now, generations = {}, {}, {}
local may_be_before, may_be_new = true, true
local function hash_key(window, generation, bucket)
    return 'fd:f:' .. text(window) .. ':' .. text(generation) .. ':' .. text(bucket)
end
local function place_fingerprints()
    local is_one = true
    for _, event in ipairs(events) do
        if event.fingerprint ~= '' then
            local a, b = string.byte(event.fingerprint, 1, 2)
            local generation, bucket = math.floor(event.ms / event.window), a * 4 + math.floor(b / 64)
            is_one = is_one and (generations[event.window] or generation) == generation
            generations[event.window] = generation
            event.bucket_before = hash_key(event.window, generation - 1, bucket)
            event.bucket_now = hash_key(event.window, generation, bucket)
            before[#before + 1], now[#now + 1] = event.bucket_before, event.bucket_now
        end
    end
    if not is_one or #now < 2 then return end
    may_be_before = redis.call('EXISTS', unpack(before)) > 0
    may_be_new = redis.call('EXISTS', unpack(now)) < #now
end
place_fingerprints()

-- Whether *first*, found under the fingerprint of *event*, is an event that makes it a duplicate. A half-written event
-- has claimed its fingerprint too, and does not; nor does a value that is no id.
local function is_first(event, first)
    if #first ~= 20 or not id_ms(first) then return false end
    return first == event.id or stored[first] or redis.call('EXISTS', envelope_key(first)) == 1
        or redis.call('EXISTS', state_key(first)) == 0
end

local function near(event, hash, field)
    local first = redis.call('HGET', hash, field)
    local ms = first and id_ms(first)
    return ms and math.abs(event.ms - ms) < event.window and is_first(event, first) and first
end

-- The event of the same fingerprint that was kept less than a window away, if any; else claims the fingerprint. Events
-- of one generation of a window are always that near; of those beside it the times are compared. The next one is looked
-- at for events that waited in a spool, and for as long as clocks may differ.
local function first_of(event)
    if event.fingerprint == '' then return nil end
    local field = string.sub(event.fingerprint, 2, 16)
    local first = may_be_before and near(event, event.bucket_before, field)
    local next_ms = event.ms - event.ms % event.window + event.window
    if not first and next_ms < now_ms + HOUR_MS then
        local a, b = string.byte(event.fingerprint, 1, 2)
        first = near(event, hash_key(event.window, next_ms / event.window, a * 4 + math.floor(b / 64)), field)
    end
    if first then return first end
    local key = event.bucket_now
    if redis.call('HSETNX', key, field, event.id) == 0 then
        first = redis.call('HGET', key, field)
        if is_first(event, first) then return first end
        redis.call('HSET', key, field, event.id)
    elseif may_be_new then
        redis.call('PEXPIRE', key, event.window * 3)
    end
    return nil
end

-- Where back-fill was at work, an event is a duplicate of one of the same change, too.
local same_change, claim_change
if redis.call('EXISTS', 'fd:made') == 1 then same_change, claim_change = open_changes(events, is_first) end
local function first_kept(event) return same_change and same_change(event) or first_of(event) end

-- An event from a spool was answered with its own id, so that id must lead to the first event. Returns whether the
-- duplicate is to be counted: one that comes again, because the reply to a drained batch was lost, is not.
local function is_new_duplicate(event, first)
    if alias_ms == 0 then return true end
    return redis.call('SET', 'fd:alias:' .. event.id, first, 'NX', 'PX', alias_ms)
end

local function remember_entity(event)
    local key = bucket_key(event.bucket)
    local newest = redis.call('HGET', key, event.entity)
    if not newest or newest < event.id then redis.call('HSET', key, event.entity, event.id) end
end

local place, place_timed, calls_off

-- Removes from an event's deliveries those that only call off a waiting delivery, when none waits.
local function take_out_idle(event)
    if not calls_off then place_timed, calls_off = open_timed_placement() end
    local left = {}
    for _, delivery in ipairs(event.deliveries) do
        if delivery.ending ~= 'w' or calls_off(event.id, delivery) then left[#left + 1] = delivery end
    end
    event.deliveries = left
end

-- Makes the deliveries of an event, and returns how many of them ended at once.
local function make_deliveries(event, state)
    local seen, ended, stem = {}, 0, INDEX .. event.hour .. ':r:'
    for i, delivery in ipairs(event.deliveries) do
        local n = text((event.first or 1) + i - 1)
        local job, begins = event.id .. '-' .. n .. '-1', 'q'
        state[#state + 1] = n .. 'r'; state[#state + 1] = delivery.route
        state[#state + 1] = n .. 'q'; state[#state + 1] = delivery.queue
        if not delivery.waits then
            state[#state + 1] = n .. 's'; state[#state + 1] = 'q'
        elseif delivery.is_timed then
            if not place_timed then place_timed, calls_off = open_timed_placement() end
            begins = place_timed(event.id, n, delivery, false, state)
        else
            place = place or open_lane_placement()
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

-- Notes the routes in the shadow that match: the event is listed under them, and gets no delivery.
local function note_shadow(event, state)
    if event.shadow == '' then return end
    state[#state + 1] = 'w'; state[#state + 1] = event.shadow
    for route in string.gmatch(event.shadow, '[^,]+') do
        append(indexes, INDEX .. event.hour .. ':r:' .. route, event.id)
    end
end

local function store(event)
    if event.is_perhaps_nothing then take_out_idle(event) end
    local hour, made = event.hour, #event.deliveries
    local state = {'n', text(made), 'p', text(made)}
    if event.entity ~= '' then state[5] = 'y'; state[6] = event.entity end
    local standing = event.kind == 'q' and 'quarantined' or made == 0 and not event.further and 'unrouted'
    if standing then
        state[#state + 1] = 'k'; state[#state + 1] = string.sub(standing, 1, 1)
        state[#state + 1] = 'z'; state[#state + 1] = now_ms
        if event.kind == 'q' then
            state[#state + 1] = 'h'; state[#state + 1] = event.business .. '/' .. event.action
            state[#state + 1] = 'c'; state[#state + 1] = quarantine_cost(#event.envelope)
        end
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
    send('HSET', state_key(event.id), state)
    if claim_change then claim_change(event) end  -- once it has a state, which tells whether it was kept
    if event.further then
        redis.call('DEL', portions_key(event.id))
        redis.call('RPUSH', portions_key(event.id), unpack(ARGV, event.further[1], event.further[2]))
        redis.call('SADD', 'fd:unmade', event.id)
    end
    if event.entity ~= '' then remember_entity(event) end
    if event.kind ~= 'p' then
        local stem = INDEX .. hour
        append(listed, stem, event.id)
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
    local size = quarantine_cost(#event.envelope)
    if (tonumber(held[1]) or 0) + size > quarantine_limit then return false end
    if (tonumber(held[2]) or 0) + size > hook_limit then return false end
    redis.call('HINCRBY', 'fd:quarantine', 'total', size)
    redis.call('HINCRBY', 'fd:quarantine', hook, size)
    return true
end

-- Routes a quarantined event. It is accepted, indexed and counted already.
local function release(event)
    local state = read_state(event.id)
    if not state or state.k ~= 'q' then return 'n' end
    local first = first_kept(event)
    if first and first ~= event.id then return 'd' .. first end
    leave_quarantine(event.id, state)
    redis.call('ZREM', 'fd:x:quarantined', event.id)
    redis.call('DEL', state_key(event.id))
    count(event.hour, 'quarantined', -1)
    store(event)
    return 'a'
end

-- Makes the next portion of an event's deliveries. An event that is gone, or was erased, gets none.
local function extend(event)
    local key, made = state_key(event.id), #event.deliveries
    if made == 0 then
        redis.call('DEL', portions_key(event.id))
    else
        local fields = {'n', event.first + made - 1}
        local ended = make_deliveries(event, fields)
        redis.call('LPOP', portions_key(event.id))
        send('HSET', key, fields)
        count(event.hour, 'd_created', made)
        if ended > 0 then count(event.hour, 'd_discarded', ended) end
        if redis.call('HINCRBY', key, 'p', made - ended) > 0 then
            redis.call('HDEL', key, 'z')
        else
            redis.call('HSETNX', key, 'z', now_ms)
        end
    end
    local left = redis.call('LLEN', portions_key(event.id))
    if left == 0 then redis.call('SREM', 'fd:unmade', event.id) end
    return 'm' .. left
end

local replies = {}
for i, event in ipairs(events) do
    local reply = event.kind == 'q' and 'q' or 'a'
    if event.kind == 'p' then
        reply = release(event)
    elseif event.kind == 'm' then
        reply = extend(event)
    elseif not is_there(event) then
        local first = first_kept(event)
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

with_each('RPUSH', indexes)
for queue, jobs in pairs(queues) do
    local length = send('RPUSH', queue_key(queue), jobs)
    if length <= #jobs then announce_queue(queue) end  -- it was empty, and nobody may have heard of it
    wake(queue)
end
for hook, ms in pairs(received) do redis.call('HSET', 'fd:received', hook, ms) end
for hour in pairs(hours) do
    -- A store that lost everything while receivers run is of their layout: events without one would be the first
    -- release's.
    if redis.call('ZADD', 'fd:hours', hour, hour) == 1 then redis.call('SET', 'fd:layout', 3, 'NX') end
end
write_counts()
with_each('RPUSH', listed)
if #envelopes > 0 then redis.call('MSET', unpack(envelopes)) end  -- two for each of at most 256 events
return replies
