-- Looks at one page of a list of ids, or less of it when their deliveries are many, takes out those whose time is over, and puts the others behind the list, so that
-- after some calls the list has been turned round once and is in its old order again. Every id is in the list at every
-- moment until its event is gone.
--
-- ARGV: the list (what follows `fd:i:` in its key), ids at most, retention in ms of ordinary events, and of dead,
--   unrouted and quarantined ones
-- The list of an hour decides: its events expire here. A narrower list (by action, business, route) only forgets ids that
-- have no state any more.
-- Returns how many ids were looked at, how many were taken out, 1 when the turn is complete (else 0), and the Unix ms at
-- which the first of those that stayed may be over (0: none stayed).

local list, most, retention, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local key = 'fd:i:' .. list
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

-- When an event may be over: not while a delivery of it is in flight, nor earlier than its time after the last one ended.
local function over_at(id, state)
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

local earliest = tonumber(redis.call('HGET', 'fd:turning', list))
if not earliest then
    if redis.call('EXISTS', key) == 0 then
        close()
        return {0, 0, 1, 0}
    end
    redis.call('RPUSH', key, TURNING_MARK)
    earliest = 0
end

local MOST_DELIVERIES = 4000
local stays, looked_at, gone, complete, deliveries = {}, 0, 0, 0, 0
for _, id in ipairs(redis.call('LRANGE', key, 0, most - 1)) do
    if deliveries >= MOST_DELIVERIES then break end
    looked_at = looked_at + 1
    if id == TURNING_MARK then
        complete = 1
        break
    end
    local state = read_state(id)
    deliveries = deliveries + (state and tonumber(state.n) or 0)
    local at = decides and state and over_at(id, state)
    if at and at <= now_ms then
        expire(id, state)
        gone = gone + 1
    elseif not decides and not state and redis.call('EXISTS', envelope_key(id)) == 0 then
        gone = gone + 1
    else
        stays[#stays + 1] = id
        if at and (earliest == 0 or at < earliest) then earliest = at end
    end
end
redis.call('LTRIM', key, looked_at, -1)
send('RPUSH', key, stays)
if complete == 1 then
    redis.call('HDEL', 'fd:turning', list)
    close()
else
    redis.call('HSET', 'fd:turning', list, earliest)
end
write_counts()
return {looked_at, gone, complete, earliest}
