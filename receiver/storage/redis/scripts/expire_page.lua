-- include: counters, entities, ids, indexes, keys, lists, quarantine, states, time
-- Goes through one page of a list of ids, and takes out those whose retention is over. A cursor says where the next
-- page begins, so ids that stay are not moved, and the list keeps its order.
--
-- ARGV: the list (its name behind the prefix of lists), ids at most (fewer are looked at when their deliveries are
-- many),
--   retention in ms of ordinary events, and of dead, unrouted and quarantined ones
-- The list of an hour decides: its events expire here. A narrower list (by action, business, route) only forgets ids
-- that have no state any more.
-- Returns how many ids were read, how many were taken out, 1 when the list is read to its end (else 0), and the
-- earliest Unix ms at which the retention of one that stayed may be over (0: none stayed).
--
-- The cursor is a field of `fd:turning`: how many ids in front were read and stay, how many ids are left to read, the
-- earliest Unix ms so far, and the last id in front. An id that joins the list meanwhile is left for the next turn.

local list, most, retention, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local key = INDEX .. list
local decides = not string.find(list, ':', 1, true)
local hour = string.match(list, '^%d+')

local function forget(id, state)
    redis.call('DEL', envelope_key(id), state_key(id), 'fd:once:' .. id, portions_key(id))
    redis.call('SREM', 'fd:unmade', id)
    for _, standing in ipairs({'quarantined', 'unrouted', 'dead'}) do redis.call('ZREM', 'fd:x:' .. standing, id) end
    if state.y and redis.call('HGET', entity_key(state.y), state.y) == id then
        redis.call('HDEL', entity_key(state.y), state.y)
    end
end

-- The event leaves the category it is counted in and is counted as expired; so do its deliveries.
local function expire(id, state)
    if state.k == 'q' then leave_quarantine(id, state) end
    forget(id, state)
    count(hour, state.k == 'q' and 'quarantined' or state.k == 'u' and 'unrouted' or 'routed', -1)
    count(hour, 'expired')
    for n = 1, tonumber(state.n) do
        redis.call('DEL', 'fd:a:' .. id .. '-' .. n)
        redis.call('SADD', 'fd:stale:' .. hour, list .. ':r:' .. (state[n .. 'r'] or ''))
        count(hour, 'd_' .. FINAL[state[n .. 's']], -1)
        count(hour, 'd_expired')
    end
    for route in string.gmatch(state.w or '', '[^,]+') do
        redis.call('SADD', 'fd:stale:' .. hour, list .. ':r:' .. route)
    end
    redis.call('SADD', 'fd:stale', hour)
    redis.call('SADD', 'fd:stale:' .. hour, '*')
end

-- When an event may be over: not while a delivery of it is in flight, nor earlier than its time after the last one
-- ended.
local function over_at(id, state)
    if state.is_damaged then return now_ms + retention + 1 end
    local is_kept = state.k ~= nil
    for n = 1, tonumber(state.n) do
        local letter = state[n .. 's']
        if not FINAL[letter] then return now_ms + retention + 1 end
        if letter == 'd' then is_kept = true end
    end
    return (tonumber(state.z) or id_ms(id)) + (is_kept and kept or retention)
end

local function close()
    if redis.call('EXISTS', key) == 1 then return end
    if decides and redis.call('EXISTS', 'fd:stale:' .. hour) == 0 then
        redis.call('ZREM', 'fd:hours', hour)
        redis.call('ZREM', 'fd:due', hour)
        redis.call('SREM', 'fd:stale', hour)
    end
end

-- Release 0.2.0 turned lists round behind a mark, and its cursor was a number alone. What it left in the middle is
-- turned to its end, so that the ids are in their order again. Returns how many were moved; nil when nothing was left.
local function finish_rotation(cursor)
    if not cursor or not tonumber(cursor) then return nil end
    local left = redis.call('LPOS', key, TURNING_MARK)
    if not left then return nil end
    local moved = left > 0 and redis.call('LRANGE', key, 0, math.min(left, PORTION) - 1) or {}
    redis.call('LTRIM', key, #moved, -1)
    send('RPUSH', key, moved)
    if left <= PORTION then
        redis.call('LREM', key, 1, TURNING_MARK)
        redis.call('HDEL', 'fd:turning', list)
    end
    return math.max(#moved, 1)
end

-- Where to go on: ids in front, ids left, the earliest moment. From the beginning, if somebody else took out ids in
-- front.
local function begin(cursor)
    local front, left, earliest, last = string.match(cursor or '', '^(%d+) (%d+) (%d+) (.*)$')
    if front and (front == '0' or redis.call('LINDEX', key, front - 1) == last) then
        return tonumber(front), tonumber(left), tonumber(earliest)
    end
    return 0, redis.call('LLEN', key), 0
end

local MOST_DELIVERIES = 4000
local cursor = redis.call('HGET', 'fd:turning', list)
local moved = finish_rotation(cursor)
if moved then return {moved, 0, 0, 0} end

local front, left, earliest = begin(cursor)
local looked_at, gone, deliveries, last = 0, 0, 0, nil
for i, id in ipairs(redis.call('LRANGE', key, front, front + math.min(most, left) - 1)) do
    if deliveries >= MOST_DELIVERIES then break end
    looked_at = i
    local state = read_state(id)
    deliveries = deliveries + (state and tonumber(state.n) or 0)
    local at = decides and state and over_at(id, state)
    local is_over = at and at <= now_ms
    if is_over then expire(id, state) end
    if is_over or not decides and not state and redis.call('EXISTS', envelope_key(id)) == 0 then
        redis.call('LSET', key, front + i - 1, TURNING_MARK)
        gone = gone + 1
    else
        last = id
        if at and (earliest == 0 or at < earliest) then earliest = at end
    end
end
if gone > 0 then
    local is_nearer_to_end = 2 * front > redis.call('LLEN', key)
    redis.call('LREM', key, is_nearer_to_end and -gone or gone, TURNING_MARK)
end
left = left - looked_at
local complete = (left <= 0 or looked_at == 0) and 1 or 0
front = front + looked_at - gone
if complete == 1 then
    redis.call('HDEL', 'fd:turning', list)
    close()
else
    last = last or front > 0 and redis.call('LINDEX', key, front - 1) or ''
    redis.call('HSET', 'fd:turning', list, string.format('%d %d %d %s', front, left, earliest, last))
end
write_counts()
return {looked_at, gone, complete, earliest}
