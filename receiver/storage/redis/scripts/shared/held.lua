-- include: ids, keys, states
-- Where deliveries are held.

-- The gate before which delivery n of a route waits: that of the route, or that of the key its limits count by.
local function gate_of(route, waits, per)
    if waits == 'l' or waits == 'c' then return route .. '/' .. (per or '') end
    return route
end

-- Whether the delivery of that id leads its lane: it is in flight there, and waits for nobody in it.
local function leads(lane, delivery)
    local id, n = parse_delivery(delivery)
    if not id then return false end
    local state = redis.call('HMGET', state_key(id), n .. 's', n .. 'l', n .. 'w')
    return state[1] and not FINAL[state[1]] and state[2] == lane and not (state[1] == 'h' and state[3] == 'o')
end

-- Whether a held delivery stands where somebody will let it go: in a lane behind another that leads, or that will be looked
-- at, or before a gate that will be.
local function is_held_rightly(id, n, route, waits, lane, per)
    local delivery = id .. '-' .. n
    if waits == 'o' then
        if not lane or not redis.call('ZSCORE', lane_key(lane), delivery) then return false end
        if redis.call('ZSCORE', 'fd:lanes', lane) then return true end
        local first = redis.call('ZRANGE', lane_key(lane), 0, 0)[1]
        return first ~= delivery and leads(lane, first)
    end
    local gate = gate_of(route, waits, per)
    return redis.call('ZSCORE', waiting_key(gate), delivery) and redis.call('ZSCORE', 'fd:gates', gate)
end
