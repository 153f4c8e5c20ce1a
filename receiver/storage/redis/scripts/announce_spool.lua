-- include: counters, lanes, spooled_lanes, time
-- Announces which lanes of ordered routes have events in a spool, and lets those lanes go on that need not wait for one
-- any more. spooled_lanes.lua explains why lanes wait. A receiver calls it many times a second.
--
-- ARGV: name of the spool ('' for none: only the lanes are checked), Unix ms at which the receiver sent this, ms for
-- which it
--   is valid, kind (`n`, `l`, `a` as in spooled_lanes.lua; `x`: the spool has no receiver any more, and nobody waits for it),
--   the id up to which every event that its receiver took is in the store
-- Returns how many lanes went on, and 1 when the list of the spool's lanes is lost (0 when not).
-- An announcement that arrives after a newer one of the same spool changes nothing.

local LANES_AT_ONCE = 128
local FORGOTTEN_MS = 20000
local MOST_COUNTED_MS = 2000  -- a longer silence of all receivers means that the store was away; it counts as this much
local LISTED_FOR_MS = 60000
local spool, sent, lease, kind, done = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
if spool == '' and redis.call('EXISTS', 'fd:receivers', 'fd:lanes') == 0 then return {0, 0} end

local up, last = string.match(redis.call('HGET', 'fd:receivers', '') or '', '^(%d+) (%d+)$')
up = tonumber(up or 0) + math.min(math.max(now_ms - tonumber(last or now_ms), 0), MOST_COUNTED_MS)

local function forget(name) redis.call('HDEL', 'fd:receivers', name); redis.call('DEL', 'fd:spooled:' .. name) end

local is_lost = 0
if kind == 'x' then
    forget(spool)
elseif spool ~= '' then
    local said = read_said(redis.call('HGET', 'fd:receivers', spool))
    if not said or sent >= said.at then
        local list = 'fd:spooled:' .. spool
        if kind == 'n' then redis.call('DEL', list) end
        if kind == 'l' and redis.call('PEXPIRE', list, LISTED_FOR_MS) == 0 then kind, is_lost = 'a', 1 end
        -- A call that arrives late is about the moment at which it was sent.
        redis.call('HSET', 'fd:receivers', spool,
            string.format('%d %d %d %s %s', math.min(sent, now_ms), lease, up, kind, done))
    end
end

local flat, known = redis.call('HGETALL', 'fd:receivers'), 0
for i = 1, #flat, 2 do
    local said = flat[i] ~= '' and read_said(flat[i + 1])
    if said and up - said.heard > said.lease + FORGOTTEN_MS then
        forget(flat[i])
    elseif said then
        known = known + 1
    end
end
if known > 0 then
    redis.call('HSET', 'fd:receivers', '', string.format('%d %d', up, now_ms))
else
    redis.call('DEL', 'fd:receivers')
end

local went = 0
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', 'fd:lanes', '-inf', now_ms, 'LIMIT', 0, LANES_AT_ONCE)) do
    redis.call('ZREM', 'fd:lanes', lane)
    advance(lane)
    if not redis.call('ZSCORE', 'fd:lanes', lane) then went = went + 1 end
end
write_counts()
return {went, is_lost}
