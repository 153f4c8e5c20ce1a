-- include: time
-- What keeps the order of a lane while events of it wait in the spool of a receiver, where the store cannot see them.
--
--   fd:receivers        hash: the name of a spool to what was said of it last, `at lease heard kind done`: Unix ms at which it
--                       was said, ms for which that is to be believed, the uptime at which it was heard, whether the spool
--                       holds nothing of any lane (`n`), something of the lanes that are listed (`l`) or of any (`a`), and
--                       the id up to which all that its receiver took is in the store. The field '' is the uptime (ms for
--                       which the store was there to be spoken to) and the Unix ms at which it was counted last
--   fd:spooled:{spool}  hash: lane to the last id of it in that spool; the field '' tells that the list is there
--   fd:lanes            sorted set: lanes whose first delivery waits for a receiver, to the Unix ms at which to look again
--
-- Who is silent for longer than is to be believed may have spooled anything that is newer than what it said last. It is
-- waited for until it speaks, or until it is forgotten (announce_spool.lua).

-- Returns what is written of a spool in fd:receivers as a table; nil when it is not ours.
local function read_said(said)
    local at, lease, heard, kind, done = string.match(said or '', '^(%d+) (%d+) (%d+) ([nla]) (%w*)$')
    if at then return {at = tonumber(at), lease = tonumber(lease), heard = tonumber(heard), kind = kind, done = done} end
end

-- Whether an older event of a lane than that of this id may wait in a spool. Nobody is waited for as long as all is well,
-- which one look tells for a whole call.
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

-- Has a lane looked at soon whose first delivery waits for a receiver.
local function look_again(lane) redis.call('ZADD', 'fd:lanes', now_ms + 50, lane) end
