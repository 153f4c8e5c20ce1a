-- include: keys, quarantine
-- Writes another reason into the envelope of a quarantined event.
--
-- ARGV: event id, envelope
-- Returns 1, or 0 when the event is not quarantined (any more).

local id, envelope = ARGV[1], ARGV[2]
local state = redis.call('HMGET', state_key(id), 'k', 'h')
if state[1] ~= 'q' then return 0 end
resize_quarantined(id, state[2], #envelope)
redis.call('SET', envelope_key(id), envelope)
return 1
