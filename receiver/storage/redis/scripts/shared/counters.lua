-- Counters of events and deliveries, by hour.

-- Counters are summed here and written once, at the end of a script. An hour whose counters move is no longer sealed.
local sums = {}

local function count(hour, what, by)
    local of_hour = sums[hour]
    if not of_hour then of_hour = {}; sums[hour] = of_hour end
    of_hour[what] = (of_hour[what] or 0) + (by or 1)
end

local function write_counts()
    for hour, of_hour in pairs(sums) do
        for what, by in pairs(of_hour) do
            -- A counter that is no number begins anew, and the audit finds what it lacks: no script fails after its writes.
            local sum = redis.pcall('HINCRBY', 'fd:c:' .. hour, what, by)
            if type(sum) == 'table' then redis.call('HSET', 'fd:c:' .. hour, what, by) end
        end
        redis.call('ZADD', 'fd:unsealed', hour, hour)
    end
end
