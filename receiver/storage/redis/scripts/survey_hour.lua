-- include: held, indexes, keys, requeue, states
-- Counts one page of an hour's events as they are now, finds what is wrong with them, and changes nothing.
--
-- ARGV: hour, position of the first id, ids at most
-- Returns
--   how many ids were read: fewer than asked for, when they have many deliveries;
--   its events that are unrouted, quarantined, routed, its deliveries that succeeded, are dead, discarded, in flight;
--   ids without a state; ids without a record; ids whose own count of deliveries in flight is wrong;
--   jobs of deliveries that are adrift: they should wait for a time or run, but no schedule has them and no living worker
--   holds them; or they are held where nothing will let them go;
--   jobs of deliveries that are queued: the caller checks whether a queue has them, because finding one job takes as long as
--   reading the whole queue;
--   1 when there may be more ids, else 0.

local hour, first, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local page = redis.call('LRANGE', INDEX .. hour, first, first + most - 1)
local found = {u = 0, q = 0, r = 0, s = 0, d = 0, c = 0, p = 0}
local lost, bare, miscounted, adrift, queued = {}, {}, {}, {}, {}

local function in_schedule(queue, job)
    return redis.call('ZSCORE', scheduled_key(queue), job) or redis.call('ZSCORE', scheduled_key(ISOLATED), job)
end

local function in_hands(worker, job)
    return worker and redis.call('SISMEMBER', 'fd:held:' .. worker, job) == 1 and redis.call('ZSCORE', 'fd:workers', worker)
end

local function look_at_delivery(id, n, state)
    local letter = state[n .. 's']
    if FINAL[letter] then
        found[letter] = found[letter] + 1
        return 0
    end
    found.p = found.p + 1
    local job = id .. '-' .. n .. '-' .. (state[n .. 'j'] or 1)
    if letter == 'q' then
        queued[#queued + 1] = job
    elseif letter == 'w' and in_schedule(state[n .. 'q'], job) then
        return 1
    elseif letter == 'x' and in_hands(state[n .. 'o'], job) then
        return 1
    elseif letter == 'h' and is_held_rightly(id, n, state[n .. 'r'], state[n .. 'w'], state[n .. 'l'], state[n .. 'u']) then
        return 1
    else
        adrift[#adrift + 1] = job
    end
    return 1
end

local MOST_DELIVERIES = 4000
local looked_at, deliveries = 0, 0
for _, id in ipairs(page) do
    if deliveries >= MOST_DELIVERIES then break end
    looked_at = looked_at + 1
    if id ~= TURNING_MARK then
        local state = read_state(id)
        if not state then
            lost[#lost + 1] = id
        else
            local kind = (state.k == 'u' or state.k == 'q') and state.k or 'r'
            found[kind] = found[kind] + 1
            local in_flight = 0
            deliveries = deliveries + tonumber(state.n)
            for n = 1, tonumber(state.n) do in_flight = in_flight + look_at_delivery(id, n, state) end
            if in_flight ~= tonumber(state.p) then miscounted[#miscounted + 1] = id end
            if redis.call('EXISTS', envelope_key(id)) == 0 then bare[#bare + 1] = id end
        end
    end
end
return {
    looked_at, {found.u, found.q, found.r, found.s, found.d, found.c, found.p}, lost, bare, miscounted, adrift, queued,
    (looked_at < #page or #page == most) and 1 or 0,
}
