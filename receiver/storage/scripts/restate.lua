-- Writes another reason into the envelope of a quarantined event.
--
-- ARGV: event id, envelope
-- Returns 1, or 0 when the event is not quarantined (any more).

local id, envelope = ARGV[1], ARGV[2]
local state = redis.call('HMGET', state_key(id), 'k', 'h')
if state[1] ~= 'q' then return 0 end
local more = #envelope - redis.call('STRLEN', envelope_key(id))
redis.call('HINCRBY', 'fd:quarantine', 'total', more)
if state[2] then redis.call('HINCRBY', 'fd:quarantine', state[2], more) end
redis.call('SET', envelope_key(id), envelope)
return 1
