-- include: keys, quarantine
-- Replaces the envelope of a quarantined event by one with another reason, and counts its new size.
--
-- ARGV: event id, envelope
-- Returns 1; 0 when the event is not quarantined (any more), and then nothing is changed.

local id, envelope = ARGV[1], ARGV[2]
local state = redis.call('HMGET', state_key(id), 'k', 'h')
if state[1] ~= 'q' then return 0 end
resize_quarantined(id, state[2], #envelope)
redis.call('SET', envelope_key(id), envelope)
return 1
