-- include: counters, ids, jobs, keys, lanes, states, time
-- How deliveries end.

-- Frees the place that a delivery holds under a limit of concurrency, and has the gate checked, so that the next one
-- goes on. *pass*: the field `g` of the delivery; only one that is `k` and the name of a gate holds a place.
local function give_place_back(pass, delivery)
    if string.sub(pass, 1, 1) ~= 'k' then return end
    local gate = string.sub(pass, 2)
    redis.call('SREM', 'fd:r:' .. gate, delivery)
    local first = redis.call('ZRANGE', waiting_key(gate), 0, 0)[1]
    if not first then return end
    redis.call('ZADD', 'fd:gates', now_ms, gate)
    local id, n = parse_delivery(first)
    wake(redis.call('HGET', state_key(id), n .. 'q') or 'default')
end

-- Ends delivery n of an event as *state* (`s`, `d` or `c`). *had*: its lane `l` and what it may pass, `g`; nil for
-- neither. *in_flight*: how many deliveries of the event are in flight, this one included; nil: read it. *attempts*:
-- how many attempts have ended; nil: that is written already. *has_only_run*: a worker holds it, and it never had to wait
-- or to run alone; who held it is emptied then, which costs the store half of what deleting it would.
local function finish(id, n, state, had, iso, in_flight, attempts, has_only_run)
    local key = state_key(id)
    local left = (tonumber(in_flight or redis.call('HGET', key, 'p')) or 0) - 1
    local fields = {n .. 's', state, 'p', left}
    if left == 0 then fields[5] = 'z'; fields[6] = now_ms end
    if attempts then fields[#fields + 1] = n .. 'a'; fields[#fields + 1] = attempts end
    if has_only_run then fields[#fields + 1] = n .. 'o'; fields[#fields + 1] = '' end
    redis.call('HSET', key, unpack(fields))
    if not has_only_run then redis.call('HDEL', key, n .. 'o', n .. 't', n .. 'b', n .. 'i') end
    count(id_hour(id), 'd_' .. FINAL[state])
    if state == 'd' then redis.call('ZADD', 'fd:x:dead', id_ms(id), id) end
    if not had then return end
    redis.call('HDEL', key, n .. 'l', n .. 'g', n .. 'w', n .. 'u', n .. 'v', n .. 'e', n .. 'd')
    if had.g then give_place_back(had.g, id .. '-' .. n) end
    if had.l then leave_lane(had.l, id .. '-' .. n, iso) end
end

-- Appends to the attempts of a delivery how and why it ended without being run.
local function note_end(delivery, outcome, why)
    redis.call('RPUSH', 'fd:a:' .. delivery, cjson.encode({outcome = outcome, ended_ms = now_ms, error = why}))
end

-- The reason of a delivery that waited too long for its target.
local function gave_up_after(ms)
    return string.format('gave up: its target was waited for, %d s long', ms / 1000)
end
