-- include: keys
-- What quarantine takes of the store.

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
