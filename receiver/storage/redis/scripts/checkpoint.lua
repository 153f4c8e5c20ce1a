-- include: keys
-- Begins or completes a step of a handler (`once`). Steps are remembered as long as the event is kept.
--
-- ARGV: event id, step (`{route}/{step}`), steps that an event may have; to complete the step also its result, as JSON
-- Returns what was known of the step before: '' nothing, '?' that it was begun, else its result. 'full' when the event
-- has too many steps, and the step is not begun; false when the event is not kept, or was erased.

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
