-- include: counters, ids, indexes, keys, time
-- Accounts for events of one hour that have lost their state, if its counters are still what they were when the others
-- were looked at: the lost ones are what the counters say beyond those, and nobody can say more.
--
-- An event whose record is still there is unrouted (or quarantined) from now on; one that is gone altogether leaves what
-- it was counted as and is counted as expired. Whatever deliveries they had are counted as expired.
--
-- ARGV: hour; how many of the others are unrouted, quarantined, routed, and of their deliveries succeeded, dead,
--   discarded, in flight; how many counters there are; their names and values; then for each lost event: id, and `u`, or
--   the hook (business/action) whose quarantine holds it, or `-` when its record is gone, too
-- Returns how many are kept again and how many are written off; false when something moved, or when the counters say
-- something else than that these are lost.

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
