-- include: ids, keys, states
-- Where a held delivery stands, and whether something will let it go from there.

-- The gate at which a delivery waits. *waits*: its field `w`; *per*: its field `u`, the key by which its limits count.
local function gate_of(route, waits, per)
    if waits == 'l' or waits == 'c' then return route .. '/' .. (per or '') end
    return route
end

-- Whether a delivery is the head of its lane: it is in flight, and does not wait for another one of the lane.
local function leads(lane, delivery)
    local id, n = parse_delivery(delivery)
    if not id then return false end
    local state = redis.call('HMGET', state_key(id), n .. 's', n .. 'l', n .. 'w')
    return state[1] and not FINAL[state[1]] and state[2] == lane and not (state[1] == 'h' and state[3] == 'o')
end

-- Whether something will let a held delivery go: the head of its lane when it ends, a check of its lane, or a check of
-- its gate. The arguments are fields of its state.
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
