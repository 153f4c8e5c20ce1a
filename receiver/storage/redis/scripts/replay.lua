-- include: counters, ids, indexes, jobs, keys, new_delivery, requeue, states, time
-- on demand: lane_placement, timed_placement
-- Makes new deliveries of an event that is kept, with the same key and the origin `replay`. A route whose last delivery
-- is still in flight gets none. If the last one is dead, it becomes discarded, because the new one takes its place.
--
-- ARGV: the time as RQ writes it, event id, 'dead' to replay dead deliveries only or 'all',
--   then for each delivery: route, queue, RQ timeout in seconds, terms ('' for none, else as new_delivery.lua reads them)
-- Returns the ids of the deliveries made; false when the event is not kept.

local iso, id, only_dead = ARGV[1], ARGV[2], ARGV[3] == 'dead'
local key = state_key(id)
local n = tonumber(redis.call('HGET', key, 'n'))
if not n then return false end

local wanted = {}
for at = 4, #ARGV, 4 do
    local delivery = new_delivery(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    if not delivery then return redis.error_reply('ERR replay: malformed delivery') end
    wanted[#wanted + 1] = delivery
end

local last = {}
for i = 1, n do
    local state = redis.call('HMGET', key, i .. 'r', i .. 's')
    last[state[1]] = {n = i, state = state[2]}
end

local shadow = ',' .. (redis.call('HGET', key, 'w') or '') .. ','
local function is_listed(route)
    return string.find(shadow, ',' .. route .. ',', 1, true) ~= nil
end

local hour, made, ended, place, place_timed = id_hour(id), {}, 0, nil, nil
-- Makes one delivery; *before* is the last one of its route, nil for none. It joins the end of its lane and replaces
-- nothing there, because whoever asks for a replay wants it to run.
local function make(delivery, before)
    local fields = {n .. 'r', delivery.route, n .. 'q', delivery.queue, n .. 'm', 'replay'}
    local begins = 'q'
    if delivery.is_timed then
        place_timed = place_timed or open_timed_placement()
        begins = place_timed(id, n, delivery, true, fields)
    elseif delivery.waits then
        place = place or open_lane_placement()
        begins = place(id, n, delivery, now_ms, false, fields)
    end
    redis.call('HSET', key, unpack(fields))
    if begins == 'c' then ended = ended + 1 end
    if begins == 'q' then
        requeue(id, n, 1, delivery.queue, now_ms, delivery.timeout_s, iso)
    elseif begins == 'w' then
        make_job(id .. '-' .. n .. '-1', delivery.queue, 'scheduled', delivery.timeout_s, iso)
        announce_queue(delivery.queue)
        wake(delivery.queue)
    end
    if not before and not is_listed(delivery.route) then
        redis.call('RPUSH', INDEX .. hour .. ':r:' .. delivery.route, id)
    end
end

for _, delivery in ipairs(wanted) do
    local route = delivery.route
    local before = last[route]
    local ended = not before or FINAL[before.state] ~= nil
    if ended and not (only_dead and (not before or before.state ~= 'd')) then
        n = n + 1
        local name = id .. '-' .. n
        if before and before.state == 'd' then
            redis.call('HSET', key, before.n .. 's', 'c')
            redis.call('RPUSH', 'fd:a:' .. id .. '-' .. before.n, cjson.encode({
                outcome = 'discarded', ended_ms = now_ms, error = 'replayed as ' .. name,
            }))
            count(hour, 'd_dead', -1)
            count(hour, 'd_discarded')
        end
        make(delivery, before)
        last[route] = {n = n, state = 'q'}
        made[#made + 1] = name
    end
end

if #made > 0 then
    redis.call('HSET', key, 'n', n)
    if redis.call('HINCRBY', key, 'p', #made - ended) > 0 then
        redis.call('HDEL', key, 'z')
    else
        redis.call('HSET', key, 'z', now_ms)
    end
    count(hour, 'd_created', #made)
    if ended > 0 then count(hour, 'd_discarded', ended) end
    if redis.call('HGET', key, 'k') == 'u' then
        redis.call('HDEL', key, 'k')
        redis.call('ZREM', 'fd:x:unrouted', id)
        count(hour, 'unrouted', -1)
        count(hour, 'routed')
    end
    local dead = false
    for _, delivery in pairs(last) do dead = dead or delivery.state == 'd' end
    if not dead then redis.call('ZREM', 'fd:x:dead', id) end
end
write_counts()
return made
