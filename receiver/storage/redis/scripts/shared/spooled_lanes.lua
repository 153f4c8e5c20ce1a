-- include: time
-- Keeps the order of lanes while older events of them are in the spool of a receiver, where the store cannot see them.
-- So receivers announce (announce_spool.lua, list_lanes.lua) which lanes their spools hold, and a delivery waits while
-- an older event of its lane may be in a spool.
--
--   fd:receivers        hash: spool to its last announcement, `at lease heard kind done`: Unix ms at which it was sent, ms for
--                       which it is valid, the uptime at which it arrived, whether the spool holds events of no lane (`n`),
--                       of the lanes that are listed (`l`) or perhaps of any lane (`a`), and the id up to which every event
--                       that its receiver took is in the store. The field '' holds the uptime, which is the ms for which
--                       the store could be reached by anybody, and the Unix ms at which it was measured last
--   fd:spooled:{spool}  hash: lane to its last event in that spool; the field '' says that the list exists
--   fd:lanes            sorted set: lanes whose first delivery waits for a receiver, to the Unix ms of their next check
--
-- A receiver whose announcement is no longer valid may have spooled events of any lane since then. Deliveries wait for
-- it until it announces again, or until announce_spool.lua forgets it.

-- Returns an announcement in fd:receivers as a table; nil for a text of another form.
local function read_said(said)
    local at, lease, heard, kind, done = string.match(said or '', '^(%d+) (%d+) (%d+) ([nla]) (%w*)$')
    if at then return {at = tonumber(at), lease = tonumber(lease), heard = tonumber(heard), kind = kind, done = done} end
end

-- Whether a spool may hold an event of a lane that is older than *id*. The announcements are read once for a whole
-- call; as long as all is well, there is no receiver to wait for.
local waited_for

local function must_wait(lane, id)
    if not waited_for then
        waited_for = {}
        local flat = redis.call('HGETALL', 'fd:receivers')
        for i = 1, #flat, 2 do
            local said = flat[i] ~= '' and read_said(flat[i + 1])
            if said and (said.kind ~= 'n' or now_ms > said.at + said.lease) then
                said.is_any = said.kind == 'a' or now_ms > said.at + said.lease
                said.list = 'fd:spooled:' .. flat[i]
                waited_for[#waited_for + 1] = said
            end
        end
    end
    for _, said in ipairs(waited_for) do
        if id > said.done then
            if said.is_any then return true end
            local last = redis.call('HGET', said.list, lane)
            if last and last > said.done then return true end
        end
    end
    return false
end

-- Schedules a check, 50 ms from now, of a lane whose first delivery waits for a receiver.
local function look_again(lane) redis.call('ZADD', 'fd:lanes', now_ms + 50, lane) end
