-- include: keys, states, time
-- Corrects the number of deliveries in flight that events hold in their state, by counting them.
--
-- ARGV: event ids
-- Returns for how many events the number was wrong.

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
