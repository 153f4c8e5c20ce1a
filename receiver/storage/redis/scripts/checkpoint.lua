-- include: keys
-- Remembers which steps of a delivery its handler has taken, for as long as the event is kept.
--
-- ARGV: event id, step (with the route in front of it), steps at most; to remember that it was taken: the result, as JSON
-- Begins the step when there is no result. Returns what was known of it: '' nothing, '?' that it was begun, else the
-- result; 'full' when the event has too many steps; false when the event is not kept, or was erased.

local id, step, most, result = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local key = 'fd:once:' .. id
local state = redis.call('HMGET', state_key(id), 'n', 'e')
if not state[1] or state[2] then return false end
local known = redis.call('HGET', key, step)
if result then
    redis.call('HSET', key, step, result)
elseif not known then
    if redis.call('HLEN', key) >= most then return 'full' end
    redis.call('HSET', key, step, '?')
end
return known or ''
