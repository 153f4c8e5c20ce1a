-- include: keys
-- The record of the attempts of a delivery.

-- Writes down an attempt that has ended, as the worker put it.
local function record(id, n, attempt)
    if attempt == '' then return end
    redis.call('RPUSH', 'fd:a:' .. id .. '-' .. n, attempt)
    redis.call('HINCRBY', state_key(id), n .. 'a', 1)
end
