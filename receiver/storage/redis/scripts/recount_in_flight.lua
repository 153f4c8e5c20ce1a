-- include: keys, states, time
-- Puts right an event's own count of deliveries in flight, by counting them.
--
-- ARGV: event ids
-- Returns how many counts were wrong.

local wrong = 0
for _, id in ipairs(ARGV) do
    local state = read_state(id)
    if state then
        local in_flight = 0
        for n = 1, tonumber(state.n) do
            if not FINAL[state[n .. 's']] then in_flight = in_flight + 1 end
        end
        if tonumber(state.p) ~= in_flight then
            wrong = wrong + 1
            redis.call('HSET', state_key(id), 'p', in_flight)
            if in_flight == 0 and not state.z then redis.call('HSET', state_key(id), 'z', now_ms) end
        end
    end
end
return wrong
