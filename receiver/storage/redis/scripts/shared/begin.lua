-- include: keys, lanes
-- How a new delivery begins, once it is clear that it does: lane_placement.lua and timed_placement.lua decide that.

-- Returns 'h' when the delivery is held in its lane, 'w' when it stands in RQ's schedule until *due* (Unix ms), and 'q'
-- when it may go into its queue now. *waits*: the letter of what it waits for until then, '' for nothing. *at*: the
-- Unix ms that orders it in its lane. *set* adds one field of the delivery to those that the caller writes.
local function begin_delivery(id, n, delivery, at, waits, due, set)
    local lane = delivery.lane
    if waits ~= '' then set('t', due) end
    if delivery.per ~= '' then set('u', delivery.per) end
    if lane then
        set('l', lane)
        if not join_lane(lane, id .. '-' .. n, at) then
            set('s', 'h'); set('w', 'o'); set('e', delivery.timeout_s .. waits)
            return 'h'
        end
    end
    if waits == '' then
        set('s', 'q')
        return 'q'
    end
    set('s', 'w'); set('w', waits)
    redis.call('ZADD', scheduled_key(delivery.queue), due / 1000, id .. '-' .. n .. '-1')
    return 'w'
end
