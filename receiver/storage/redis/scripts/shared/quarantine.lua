-- include: keys
-- How many bytes of the store the quarantined events use.

-- The bytes that a quarantined event with an envelope of *size* bytes uses, at most: an allocator rounds up by a
-- quarter, and keys, state and the entries in five lists were measured as 380 (Valkey 9) to 495 bytes (Redis 7.0).
local function quarantine_cost(size) return math.ceil(size * 1.25) + 512 end

-- Subtracts what an event uses when it leaves quarantine. An event of release 0.2.0 does not say how much it uses, and
-- was counted by its envelope alone. When the last event leaves, all counts begin again at 0, because a release 0.2.0
-- beside this one subtracts less than this one has added.
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

-- Corrects the counts before the envelope of a quarantined event is replaced by one of *size* bytes.
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
