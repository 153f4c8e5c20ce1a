-- include: counters, ids, indexes, keys, time
-- Puts the counters of one hour right for events that have lost their state. What such an event and its deliveries were
-- counted as is known only as a sum: it is what the counters hold beyond the intact events. So this is done only if no
-- counter has changed since those were counted.
--
-- Events whose record survives become unrouted (or quarantined). Events whose record is gone as well are counted as
-- expired; so are all deliveries that the lost events had.
--
-- ARGV: hour; how many intact events are unrouted, quarantined, routed, and how many of their deliveries succeeded, are
-- dead,
--   discarded, in flight; the number of counters; their names and values; then for each lost event: id, and `u`, or the hook
--   (business/action) whose quarantine holds it, or `-` when its record is gone as well
-- Returns how many events became unrouted or quarantined, and how many were written off; false, with nothing changed,
-- when a counter has changed, or when the counters do not say that exactly these events are lost.

local hour, counters = ARGV[1], tonumber(ARGV[9])
local expected = {}
for i = 10, 9 + 2 * counters, 2 do expected[ARGV[i]] = ARGV[i + 1] end
local now = redis.call('HGETALL', 'fd:c:' .. hour)
if #now ~= 2 * counters then return false end
for i = 1, #now, 2 do
    if expected[now[i]] ~= now[i + 1] then return false end
end
local function counted(name) return tonumber(expected[name] or 0) end

local lost = {}
for i = 10 + 2 * counters, #ARGV, 2 do
    if redis.call('EXISTS', state_key(ARGV[i])) == 1 then return false end
    lost[#lost + 1] = {ARGV[i], ARGV[i + 1]}
end

local missing = 0
for i, name in ipairs({'unrouted', 'quarantined', 'routed'}) do
    local more = counted(name) - tonumber(ARGV[i + 1])
    if more < 0 then return false end
    missing = missing + more
    count(hour, name, -more)
end
if missing ~= #lost then return false end
local in_flight = counted('d_created') - counted('d_expired')
for i, name in ipairs({'d_succeeded', 'd_dead', 'd_discarded'}) do
    local more = counted(name) - tonumber(ARGV[i + 4])
    if more < 0 then return false end
    in_flight = in_flight - counted(name)
    count(hour, name, -more)
    count(hour, 'd_expired', more)
end
local more = in_flight - tonumber(ARGV[8])
if more < 0 then return false end
count(hour, 'd_expired', more)

local kept, gone = 0, 0
for _, one in ipairs(lost) do
    local id, what = one[1], one[2]
    for _, standing in ipairs({'quarantined', 'unrouted', 'dead'}) do redis.call('ZREM', 'fd:x:' .. standing, id) end
    if what == '-' then
        gone = gone + 1
        count(hour, 'expired')
        redis.call('LREM', INDEX .. hour, 0, id)
        redis.call('DEL', envelope_key(id), 'fd:once:' .. id)
    else
        local standing = what == 'u' and 'unrouted' or 'quarantined'
        kept = kept + 1
        count(hour, standing)
        redis.call('HSET', state_key(id), 'n', 0, 'p', 0, 'k', string.sub(standing, 1, 1), 'z', now_ms)
        if what ~= 'u' then redis.call('HSET', state_key(id), 'h', what) end
        redis.call('ZADD', 'fd:x:' .. standing, id_ms(id), id)
    end
end
write_counts()
return {kept, gone}
